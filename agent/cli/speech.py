"""What every command needs before it speaks: the configuration, the language, the screen."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from agent.cli.client import NoAgent
from agent.config import Config, load
from agent.errors import ConfigError, StationError
from agent.status.plain import plain
from agent.status.shape import IssueShape
from agent.words import FIRST, fill, language_of, sentence, word

NO_AGENT = 3  # the exit code; 1 is a fault, 2 wrong usage
_WIDE = 240  # columns when nobody looks: a name cut for a screen that is not there helps no script


class Language(StrEnum):
    EN = "en"
    ZH = "zh"


LanguageOption = Annotated[
    Language | None, typer.Option("--lang", help="Language of the output; else the configured one.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


@dataclass(frozen=True, slots=True)
class Setting:
    """How a command runs. `config` is None when the files are faulty: `faults` tells why."""

    language: str
    config: Config | None
    faults: tuple[str, ...] = ()

    @property
    def socket(self) -> Path:
        """Of the agent; the usual one when the files do not tell."""
        return (self.config or Config()).web.socket


def setting(path: Path | None, language: Language | None) -> Setting:
    """The language: what was asked for, else the configured one, else that of the locale."""
    try:
        config = load(path)
    except ConfigError as error:
        return Setting(language or _of_locale(), None, tuple(error.faults))
    return Setting(language or config.station.language, config)


@contextmanager
def told(language: str) -> Iterator[None]:
    """Ends the command with a sentence and an exit code for every error that we know."""
    try:
        yield
    except StationError as error:
        typer.echo(spoken(error, language), err=True)
        raise typer.Exit(NO_AGENT if isinstance(error, NoAgent) else 1) from None


def spoken(error: StationError, language: str | None = None) -> str:
    if isinstance(error, ConfigError):
        return str(error)  # one fault per line, with file and line
    return sentence(error.key, error.params, language or _of_locale())


def tell(section: str, key: str, params: Mapping[str, Any], language: str, as_json: bool) -> None:
    """What came of a command: its sentence, or for programs its facts, with the key of the sentence."""
    said = fill(word(section, key, language), params)
    if as_json:
        facts = {name: plain(value) for name, value in params.items()} | {"done": key, "sentence": said}
        print(json.dumps(facts, ensure_ascii=False, indent=2))
    else:
        typer.echo(said)


def knows(issue: IssueShape, language: str) -> str:
    """Who acknowledged an issue; "" while nobody has."""
    known = issue["acknowledged"]
    if known is None:
        return ""
    at = datetime.fromtimestamp(known["at"]).isoformat(" ", "minutes")
    return fill(word("page", "acknowledged", language), {**known, "at": at})


def screen() -> Console:
    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDE)


def _of_locale() -> str:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        if os.environ.get(name):
            return language_of(os.environ[name]) or FIRST
    return FIRST
