"""`recorder-station export`: an evidence package for a court, a reviewer, the defence."""

import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.catalog import beside, meta
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import LanguageOption, setting, told
from agent.config import Config
from agent.custody.evidence import export as packaging
from agent.custody.evidence.export import Asked
from agent.custody.evidence.exported import case_of
from agent.custody.log import opening
from agent.custody.log.reading import Log
from agent.custody.texts import text_of
from agent.errors import Stop
from agent.words import fill, sentence, word


def export(
    to: Annotated[Path, typer.Option("--to", metavar="DIR", help="The package: a folder that is made.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it is exported.")],
    name: Annotated[str, typer.Option("--name", help="Who exports it.")],
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
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Make an evidence package: clips, what happened to them, the proofs, and the program that checks it."""
    if not (clip or officer or since or until):
        raise typer.BadParameter("one of --clip, --officer, --from and --to-time")
    chosen = setting(config, lang)
    store = (chosen.config or Config()).store.path
    with told(chosen.language):
        asked = Asked(
            text_of(name, "person"), text_of(reason, "reason"), case_of(case), tuple(clip or ()), officer,
            since.isoformat() if since else "", until.isoformat() if until else "",
        )  # fmt: skip
        if to.exists():
            raise Stop("export-exists", file=str(to))
        if not to.absolute().parent.is_dir():
            raise Stop("file-unwritable", file=str(to), reason="no folder is there to make it in")
        plan, number = _plan(store, asked)
        arguments = {
            "clips": ",".join(str(one.id) for one in plan.clips),
            "person": asked.name,
            "reason": asked.reason,
            "case": asked.case,
            "contents": plan.contents,
        }
        answer = Client(chosen.socket).post("/commands/export", arguments)
        try:
            packaging.write(plan, asked, lambda: Log(store / "custody" / number), store, to, answer)
        except FileExistsError as error:
            raise Stop("export-exists", file=str(to)) from error
        except OSError as error:
            raise Stop("file-unwritable", file=str(to), reason=str(error)) from error
    shown = {"file": to, "clips": len(plan.clips), "event": answer["event"]}
    typer.echo(fill(word("export", "done", chosen.language), shown))
    if plan.not_here:
        left = {"clips": [f"{one.id} ({word('clips', one.state, chosen.language)})" for one in plan.not_here]}
        print(fill(word("export", "left", chosen.language), left), file=sys.stderr)


def _plan(store: Path, asked: Asked) -> tuple[packaging.Plan, str]:
    """With the number of the log."""
    with beside.reading(store) as db:
        number = meta.get(db, opening.META)
        if number is None:
            raise Stop("no-log-yet")
        origin = Log(store / "custody" / number).origin
        return packaging.plan(db, store, origin, asked, both), number


def both(section: str, key: str, params: Mapping[str, Any]) -> tuple[str, str]:
    return sentence(key, params, "zh", section), sentence(key, params, "en", section)
