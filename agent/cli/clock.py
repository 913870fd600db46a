"""`recorder-station clock`: the clock ledger of the recorders."""

import json
import math
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import beside, clocks
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, told
from agent.config import Config
from agent.custody.clocks import ledger
from agent.custody.clocks.interval import Interval
from agent.custody.clocks.ledger import Standing
from agent.words import word


def clock(
    recorder: Annotated[str | None, typer.Argument(help="Only this recorder.")] = None,
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Another store, for instance a copy of one.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Show how far the recorders' clocks are ahead of this station's, and how they drift.

    Reads only; the agent may run."""
    chosen = setting(config, lang)
    store = data or (chosen.config or Config()).store.path
    with told(chosen.language), beside.reading(store) as db:
        names = [name for name in clocks.recorders(db) if recorder in (None, name)]
        rows = [ledger.standing(db, name) for name in names]
    if as_json:
        print(json.dumps([row.facts for row in rows], ensure_ascii=False, indent=2))
    elif rows:
        screen().print(_table(rows, chosen.language))
    else:
        typer.echo(word("clocks", "none", chosen.language))


def _table(rows: list[Standing], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("recorder", "dockings", "docked", "ahead", "drift", "verdict"):
        table.add_column(word("clocks", column, language), overflow="fold")
    for row in rows:
        cells = [
            row.recorder,
            str(row.dockings),
            time.strftime("%Y-%m-%d %H:%M", time.localtime(row.at)),
            _span(row.ahead, language),
            _span(row.drift, language),
            word("clocks", "wrong" if row.wrong else "possible", language),
        ]
        table.add_row(*map(Text, cells))
    return table


def _span(interval: Interval, language: str) -> str:
    """In seconds, from the least to the most."""
    if interval.empty:
        return word("clocks", "contradicts", language)
    return " … ".join("∞" if math.isinf(end) else f"{end:+.1f}" for end in (interval.low, interval.high))
