"""Sentences for people. The rest of the house speaks in stable keys with parameters.

A sentence is never worth a crash: a missing word shows its key, a missing parameter a question mark.
"""

import functools
import re
from collections.abc import Mapping
from importlib import resources
from typing import Any

import yaml

from agent.words.shown import duration, size, value

LANGUAGES = ("en", "zh")
FIRST = "en"

_PLACE = re.compile(r"\{(\w+)(?::(\w+))?\}")
_FORMATS = {"size": size, "duration": duration}

Words = Mapping[str, Mapping[str, str]]


@functools.cache
def words(language: str) -> Words:
    """Every word of a language by section: slots, clips, problems, doctor, page, severity, update, …"""
    known = language if language in LANGUAGES else FIRST
    text = resources.files(__name__).joinpath(f"{known}.yaml").read_text(encoding="utf-8")
    loaded: Words = yaml.safe_load(text)
    return loaded


def language_of(locale: str) -> str | None:
    """`zh_CN.UTF-8` is `zh`; None for a language that we do not speak."""
    short = re.split(r"[_.@-]", locale.lower(), maxsplit=1)[0]
    return short if short in LANGUAGES else None


def word(section: str, key: str, language: str) -> str:
    return words(language).get(section, {}).get(key, key)


def sentence(key: str, params: Mapping[str, Any], language: str, section: str = "problems") -> str:
    """The sentence for a problem; its key and parameters when there is none. A key whose parameter `kind`
    matters to people has a sentence for each kind under `key-kind`."""
    known = words(language).get(section, {})
    template = known.get(f"{key}-{params.get('kind')}", known.get(key))
    if template is None:
        listed = ", ".join(f"{value(name)}={value(param)}" for name, param in params.items())
        return f"{value(key)} ({listed})" if listed else value(key)
    return fill(template, params)


def remedy(key: str, language: str) -> str:
    """What to do about an issue of the station's health; "" when nothing is known."""
    return words(language)["remedies"].get(key, "")


def fill(template: str, params: Mapping[str, Any]) -> str:
    """Put parameters into their places once; what they contain is never read as a template."""

    def put(place: re.Match[str]) -> str:
        name, form = place.groups()
        if name not in params:
            return "?"
        shown = _FORMATS.get(form, value)
        return shown(params[name])

    return _PLACE.sub(put, template)
