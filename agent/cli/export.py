"""`recorder-station export`: an evidence package for a court, a reviewer, the defence."""

import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.catalog import beside, meta
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, Setting, setting, tell, told
from agent.config import Config
from agent.custody.evidence import export as packaging
from agent.custody.evidence.export import Asked
from agent.custody.evidence.exported import case_of
from agent.custody.evidence.gathering import Fetch, Gathered, gather
from agent.custody.evidence.packing import Packing, packing
from agent.custody.log import opening
from agent.custody.log.reading import Log
from agent.custody.texts import text_of
from agent.errors import ConfigError, Stop
from agent.model import Problem
from agent.upload import back
from agent.words import fill, sentence, word


def export(
    to: Annotated[
        Path,
        typer.Option(
            "--to", metavar="PATH", help="The package: a folder, or one zip file if its name ends in .zip."
        ),
    ],
    reason: Annotated[str, typer.Option("--reason", help="Why it is exported.")] = "",
    name: Annotated[str, typer.Option("--name", help="Who exports it.")] = "",
    case: Annotated[str, typer.Option("--case", metavar="NUMBER", help="The case that it is for.")] = "",
    clip: Annotated[
        list[int] | None, typer.Option("--clip", min=1, help="A clip, by its id. Repeatable.")
    ] = None,
    officer: Annotated[str, typer.Option("--officer", metavar="NUMBER", help="Clips of this officer.")] = "",
    since: Annotated[
        datetime | None, typer.Option("--from", metavar="TIME", help="Recorded then or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to-time", metavar="TIME", help="Recorded then or earlier.")
    ] = None,
    asked: Annotated[
        int | None,
        typer.Option(
            "--asked", min=1, metavar="ID", help="In place of all others: what was asked for before."
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Make an evidence package: clips, what happened to them, the proofs, and the program that checks it.

    Where the station wants a second person's approval this asks for it, and tells the ID for --asked."""
    choice = [clip, officer, since, until]
    if asked is None and not (any(choice) and name and reason):
        raise typer.BadParameter("--name, --reason, and one of --clip, --officer, --from and --to-time")
    if asked is not None and any([*choice, name, reason, case]):
        raise typer.BadParameter("with --asked everything but --to is what was asked for")
    chosen = setting(config, lang)
    with told(chosen.language):
        client, store = Client(chosen.socket), (chosen.config or Config()).store.path
        if to.exists():
            raise Stop("export-exists", file=str(to))
        if not to.absolute().parent.is_dir():
            raise Stop("file-unwritable", file=str(to), reason="no folder is there to make it in")
        if asked is None:
            wanted = Asked(
                text_of(name, "person"), text_of(reason, "reason"), case_of(case), tuple(clip or ()), officer,
                since.isoformat() if since else "", until.isoformat() if until else "",
            )  # fmt: skip
            with beside.reading(store) as db:
                clips = packaging.choose(db, wanted)
            wanted = replace(wanted, clips=tuple(one.id for one in clips), officer="", since="", until="")
            asked = _ask(client, wanted, chosen.language, as_json)
        else:
            wanted = _what_was_asked(client, asked)
        if asked:
            _make(client, chosen, store, wanted, asked, to, as_json)


def _ask(client: Client, wanted: Asked, language: str, as_json: bool) -> int:
    """The event; 0 when somebody has to approve first, which is said then."""
    said = {"person": wanted.name, "reason": wanted.reason, "case": wanted.case}
    answer = client.post("/commands/export-ask", {**said, "clips": ",".join(map(str, wanted.clips))})
    if not answer["approval"]:
        return int(answer["asked"])
    tell("export", "asked", {**answer, "clips": len(wanted.clips)}, language, as_json)
    return 0


def _what_was_asked(client: Client, asked: int) -> Asked:
    """Raises Stop for what keeps it from being made."""
    found = client.post("/commands/export-look", {"asked": str(asked)})
    if found["hinders"]:
        raise Stop(found["hinders"]["key"], **found["hinders"]["params"])
    return Asked(found["person"], found["reason"], found["case"], tuple(found["clips"]))


def _make(
    client: Client, chosen: Setting, store: Path, wanted: Asked, asked: int, to: Path, as_json: bool
) -> None:
    try:
        with beside.reading(store) as db:
            clips = packaging.choose(db, wanted)
            sm3 = packaging.wants_sm3(db, clips)
        with packing(to, sm3=sm3) as pack:
            with beside.reading(store) as db:
                gathered = gather(clips, store, pack, _fetch(chosen, db, store))
            _tell_missing(gathered, chosen.language)
            if not gathered.clips:
                raise Stop("export-none-here")
            event = _write(client, store, wanted, asked, gathered, pack)
    except FileExistsError as error:
        raise Stop("export-exists", file=str(to)) from error
    except OSError as error:
        raise Stop("file-unwritable", file=str(to), reason=str(error)) from error
    shown = {"file": str(to), "clips": len(gathered.clips), "event": event, "fetched": len(gathered.fetched)}
    if as_json:
        shown["missing"] = sorted(gathered.missing)
    tell("export", "done", shown, chosen.language, as_json)
    if gathered.fetched and not as_json:
        typer.echo(fill(word("export", "fetched", chosen.language), shown))


def _fetch(chosen: Setting, db: sqlite3.Connection, store: Path) -> Fetch:
    """With the rights of this command, which may read the store, and so the targets' keys."""
    config = chosen.config
    if config is None:
        raise ConfigError(list(chosen.faults))
    among = back.known(config.targets, db, store)

    def fetch(clip: int, put: Callable[[Iterator[bytes]], None]) -> str | list[Problem]:
        try:
            return back.fetch(db, among, clip, put)
        except back.NotFetched as error:
            return error.reasons

    return fetch


def _write(client: Client, store: Path, wanted: Asked, asked: int, gathered: Gathered, pack: Packing) -> int:
    """The event of the export."""
    plan, number = _plan(store, wanted, gathered, asked)
    clips = ",".join(str(one.id) for one in plan.clips)
    answer = client.post("/commands/export", {"asked": str(asked), "clips": clips, "contents": plan.contents})
    packaging.write(plan, wanted, lambda: Log(store / "custody" / number), store, pack, answer)
    return int(answer["event"])


def _plan(store: Path, wanted: Asked, gathered: Gathered, asked: int) -> tuple[packaging.Plan, str]:
    """With the number of the log."""
    with beside.reading(store) as db:
        number = meta.get(db, opening.META)
        if number is None:
            raise Stop("no-log-yet")
        origin = Log(store / "custody" / number).origin
        return packaging.plan(db, store, origin, wanted, gathered, asked, both), number


def _tell_missing(gathered: Gathered, language: str) -> None:
    """A line for each clip that did not come, with every reason."""
    if gathered.missing:
        print(fill(word("export", "left", language), {"count": len(gathered.missing)}), file=sys.stderr)
    for clip, reasons in gathered.missing.items():
        said = " ".join(sentence(one.key, one.params, language) for one in reasons)
        print(f"  {clip}: {said}", file=sys.stderr)


def both(section: str, key: str, params: Mapping[str, Any]) -> tuple[str, str]:
    return sentence(key, params, "zh", section), sentence(key, params, "en", section)
