"""`recorder-station hold`: legal holds."""

import json
import sqlite3
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import beside, holds
from agent.catalog.holds import Hold
from agent.cli.asking import NameOption, ReasonOption, done
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, told
from agent.config import Config
from agent.words import word

app = typer.Typer(help="Legal holds: what is kept until somebody lifts the hold.", no_args_is_help=True)


@app.command("set")
def place(
    name: NameOption,
    reason: ReasonOption,
    clip: Annotated[int | None, typer.Option("--clip", min=1, help="One clip, by its id.")] = None,
    recorder: Annotated[str, typer.Option("--recorder", help="All clips of a recorder.")] = "",
    officer: Annotated[str, typer.Option("--officer", help="All clips of an officer.")] = "",
    case: Annotated[str, typer.Option("--case", help="All clips of a case.")] = "",
    since: Annotated[
        datetime | None, typer.Option("--from", help="Of an officer: recorded then or later.")
    ] = None,
    until: Annotated[
        datetime | None, typer.Option("--to", help="Of an officer: recorded then or earlier.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Hold clips, those that are still to come as well. In force at once."""
    scopes = {"clip": str(clip or ""), "recorder": recorder, "officer": officer, "case": case}
    given = {scope: value for scope, value in scopes.items() if value}
    if len(given) != 1:
        raise typer.BadParameter("one of --clip, --recorder, --officer and --case")
    chosen = setting(config, lang)
    [(scope, value)] = given.items()
    said = {"scope": scope, "value": value, "person": name, "reason": reason}
    said |= {key: at.isoformat() for key, at in (("since", since), ("until", until)) if at}
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/hold-set", said)
        done(answer, "hold-set" if answer["clips"] else "hold-set-none", chosen.language, as_json)


@app.command()
def lift(
    number: Annotated[int, typer.Argument(min=1, help="Its number, as `hold list` shows it.")],
    name: NameOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Lift a hold. Its clips are kept by the rules alone from then on."""
    chosen = setting(config, lang)
    with told(chosen.language):
        said = {"hold": str(number), "person": name, "reason": reason}
        answer = Client(chosen.socket).post("/commands/hold-lift", said)
        done(answer, "hold-lift", chosen.language, as_json)


@app.command("list")
def show(config: ConfigPath = None, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """List the holds in force. Reads only; the agent may run."""
    chosen = setting(config, lang)
    with told(chosen.language), beside.reading((chosen.config or Config()).store.path) as db:
        rows = [_row(db, hold) for hold in holds.in_force(db)]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        screen().print(_table(rows, chosen.language))
    else:
        typer.echo(word("retention", "no-holds", chosen.language))


def _row(db: sqlite3.Connection, hold: Hold) -> dict[str, Any]:
    standing = holds.standing(db, hold)
    return {
        "hold": hold.id,
        "scope": hold.scope,
        "value": hold.value,
        "from": hold.since or None,
        "to": hold.until or None,
        "clips": standing.clips,
        "pending_at_centre": standing.pending,
    }


def _table(rows: list[dict[str, Any]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("hold", "scope", "value", "time", "clips", "pending"):
        table.add_column(word("retention", column, language), overflow="fold")
    for row in rows:
        span = f"{row['from'] or '…'} – {row['to'] or '…'}" if row["from"] or row["to"] else ""
        cells = [
            str(row["hold"]),
            word("retention", row["scope"], language),
            row["value"],
            span,
            str(row["clips"]),
            str(row["pending_at_centre"] or ""),
        ]
        table.add_row(*map(Text, cells))
    return table
