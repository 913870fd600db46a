"""`recorder-station log`: the signed log of everything that happened."""

import itertools
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from agent import durable
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, Language, LanguageOption, setting, tell, told
from agent.config import Config
from agent.custody.audit.finding import Finding, Looked
from agent.custody.audit.store import audit as audit_store
from agent.errors import Stop
from agent.status.plain import plain
from agent.words import fill, sentence, word

_EVERY = 10.0  # seconds
_SHOWN = 100  # findings; thousands of them are one disaster
Name = Annotated[str, typer.Option("--name", help="Who orders it.")]
Reason = Annotated[str, typer.Option("--reason", help="Why.")]

app = typer.Typer(help="The signed log of everything that happened.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    pass


@app.command()
def audit(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Another store, for instance a copy of one.")
    ] = None,
    heads: Annotated[
        Path | None,
        typer.Option("--heads", metavar="DIR", help="Heads that left the station, copied from the centre."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Check every entry, hash, head and key of the log, and compare it with the catalog. Reads only; the
    agent may run. Ends with 1 when something is wrong."""
    chosen = setting(config, lang)
    store = data or (chosen.config or Config()).store.path
    looked = Looked(_Progress(chosen.language))
    with told(chosen.language):
        found = _findings(store, looked, heads)
        shown = list(itertools.islice(found, _SHOWN))
        more = sum(1 for _ in found)
    if as_json:
        print(json.dumps(_object(looked, shown, more, chosen.language), ensure_ascii=False, indent=2))
    else:
        _print(looked, shown, more, chosen.language)
    raise typer.Exit(1 if shown else 0)


@app.command()
def carry(
    file: Annotated[Path, typer.Argument(help="The file to be written, on a stick for instance.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Write the last head of the log to a file, for another station to countersign."""
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/log-carry", {})
        _write(file, answer["text"])
        tell("witness", "carry", _without_text(answer, file), chosen.language, as_json)


@app.command("witness")
def countersign(
    file: Annotated[Path, typer.Argument(help="The file that another station wrote with `log carry`.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Countersign and keep the head of another station's log, if it goes on from what this station knows."""
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/log-witness", {"text": _read(file)})
        back = file.with_name(file.name + ".cosigned")
        _write(back, f"{answer['key']}\n{answer['text']}")
        tell("witness", "witness", _without_text(answer, back), chosen.language, as_json)


@app.command("keep")
def keep_countersigned(
    file: Annotated[Path, typer.Argument(help="The file that the other station wrote with `log witness`.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Keep a head of this station's log that another station has countersigned."""
    chosen = setting(config, lang)
    with told(chosen.language):
        key, _, text = _read(file).partition("\n")
        answer = Client(chosen.socket).post("/commands/log-keep", {"key": key, "text": text})
        tell("witness", "keep", answer, chosen.language, as_json)


@app.command()
def begin(
    name: Name,
    reason: Reason,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Begin another log, when an old copy of this station's disk was restored."""
    _order("log-begin", name, reason, as_json, config, lang)


@app.command()
def rekey(
    name: Name,
    reason: Reason,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Give the station another key, and destroy the old one: both sign the change."""
    _order("log-rekey", name, reason, as_json, config, lang)


def _order(
    command: str, name: str, reason: str, as_json: bool, config: Path | None, lang: Language | None
) -> None:
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post(f"/commands/{command}", {"person": name, "reason": reason})
    done = command if answer["log"] else "waits"
    tell("order", done, answer, chosen.language, as_json)


def _without_text(answer: Mapping[str, Any], file: Path) -> dict[str, Any]:
    """The text is in the file."""
    return {**{name: value for name, value in answer.items() if name != "text"}, "file": str(file)}


def _read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise Stop("file-unreadable", file=str(file), reason=str(error)) from error


def _write(file: Path, text: str) -> None:
    try:
        durable.write_file(file, text.encode())
    except OSError as error:
        raise Stop("file-unwritable", file=str(file), reason=str(error)) from error


def _findings(store: Path, looked: Looked, heads: Path | None) -> Iterator[Finding]:
    try:
        yield from audit_store(store, looked, heads=heads)
    except OSError as error:
        raise Stop("store-unreadable", error=str(error)) from error


class _Progress:
    """A line now and then: ten million entries take a while."""

    def __init__(self, language: str) -> None:
        self._language = language
        self._last = time.monotonic()

    def __call__(self, looked: Looked) -> None:
        if time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            print(fill(word("audit", "progress", self._language), _figures(looked)), file=sys.stderr)


def _print(looked: Looked, shown: list[Finding], more: int, language: str) -> None:
    for finding in shown:
        typer.echo(sentence(finding.key, finding.params, language, "audit"))
    if more:
        typer.echo(fill(word("audit", "more", language), {"count": more}))
    if shown:
        typer.echo(fill(word("audit", "wrong", language), {"count": len(shown) + more}))
    else:
        typer.echo(fill(word("audit", "whole", language), _figures(looked)))
    if looked.apart:
        typer.echo(fill(word("audit", "apart", language), _figures(looked)))


def _object(looked: Looked, shown: list[Finding], more: int, language: str) -> dict[str, object]:
    return {
        "whole": not shown,
        **_figures(looked),
        "more": more,
        "findings": [
            {
                "key": finding.key,
                "params": plain(finding.params),
                "sentence": sentence(finding.key, finding.params, language, "audit"),
            }
            for finding in shown
        ],
    }


def _figures(looked: Looked) -> dict[str, int]:
    return {
        "logs": looked.logs,
        "heads": looked.heads,
        "entries": looked.entries,
        "events": looked.events,
        "apart": looked.apart,
    }
