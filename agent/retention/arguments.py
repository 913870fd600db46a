"""What people write, made into what is meant, or refused with what would be right."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime

from agent.catalog import holds
from agent.errors import Reject

LONGEST = 64  # characters of a category, a case, a number
LONGEST_TEXT = 500
NUMBER = re.compile(r"[1-9][0-9]{0,17}", re.ASCII)


def hold(arguments: Mapping[str, str]) -> dict[str, str]:
    """scope, value, since, until. All of these raise Reject `bad-parameter`."""
    scope = arguments.get("scope", "")
    if scope not in holds.SCOPES:
        raise Reject("bad-parameter", name="scope", expected=", ".join(holds.SCOPES))
    value = (
        str(number(arguments, "value")) if scope == holds.CLIP else short(arguments.get("value", ""), "value")
    )
    times = {name: time(arguments.get(name, ""), name) for name in ("since", "until")}
    if any(times.values()) and scope != holds.OFFICER:
        raise Reject("bad-parameter", name="since", expected="a time only with an officer")
    if all(times.values()) and times["since"] > times["until"]:
        raise Reject("bad-parameter", name="until", expected="a time after the first one")
    return {"scope": scope, "value": value, **times}


def time(text: str, name: str) -> str:
    if not text:
        return ""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise Reject("bad-parameter", name=name, expected="a time such as 2026-11-25T18:00") from None
    if at.tzinfo is not None:
        raise Reject("bad-parameter", name=name, expected="local time, without a zone")
    return at.isoformat()


def field(field: str, text: str) -> str:
    text = text.strip()
    if field == "note":
        if len(text) > LONGEST_TEXT:
            raise Reject("bad-parameter", name=field, expected=f"at most {LONGEST_TEXT} characters")
        return text
    if field == "important":
        if text not in ("", "yes", "no"):
            raise Reject("bad-parameter", name=field, expected="yes, no, or nothing")
        return text
    return short(text, field) if text else ""


def short(text: str, name: str) -> str:
    """One way to write it: full-width letters and digits are the others' twins."""
    text = unicodedata.normalize("NFKC", text).strip()
    if not 0 < len(text) <= LONGEST or not text.isprintable():
        raise Reject("bad-parameter", name=name, expected=f"1–{LONGEST} characters on one line")
    return text


def text(arguments: Mapping[str, str], name: str) -> str:
    text = arguments.get(name, "").strip()
    if not 0 < len(text) <= LONGEST_TEXT:
        raise Reject("bad-parameter", name=name, expected=f"1–{LONGEST_TEXT} characters")
    return text


def number(arguments: Mapping[str, str], name: str) -> int:
    text = arguments.get(name, "")
    if not NUMBER.fullmatch(text):
        raise Reject("bad-parameter", name=name, expected="a number")
    return int(text)
