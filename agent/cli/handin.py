"""`recorder-station handin`: who handed in what in time, what came late, and who did not come."""

import csv
import io
import json
import time
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import beside
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, told
from agent.config import Config
from agent.retention import handin as handins
from agent.retention import roster
from agent.retention.handin import Report, Tally
from agent.words import fill, word
from agent.words.shown import duration

_FIGURES = ("clips", "in_time", "late", "most_late", "unknown", "uncollected")
_COLUMNS = ("unit", "officer", "recorder", *_FIGURES, "away")
_MOST_LATE = 100  # clips that are listed on a screen
_FORMULA = ("=", "+", "-", "@")  # what a spreadsheet would work out


def handin(
    day: Annotated[
        str, typer.Option("--day", metavar="DATE", help="Dockings of this day; today unless told.")
    ] = "",
    first: Annotated[str, typer.Option("--from", metavar="DATE", help="Dockings from this day on.")] = "",
    last: Annotated[str, typer.Option("--to", metavar="DATE", help="Up to this day, included.")] = "",
    officer: Annotated[str, typer.Option("--officer", help="Only of this officer.")] = "",
    unit: Annotated[str, typer.Option("--unit", help="Only of this unit, by the roster.")] = "",
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Another store, for instance a copy of one.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV, for spreadsheets.")] = False,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Tell what was handed in within 24 hours of its recording, what was late, and which recorders of the
    roster did not dock. Reads only; the agent may run."""
    days = _days(day, first, last)
    chosen = setting(config, lang)
    store = data or (chosen.config or Config()).store.path
    with told(chosen.language), beside.reading(store) as db:
        made = handins.report(db, roster.in_force(db), *days, time.time(), officer, unit)
    if as_csv:
        typer.echo(_csv(made).encode("utf-8-sig"), nl=False)
    elif as_json:
        print(json.dumps(_facts(made, days), ensure_ascii=False, indent=2))
    else:
        _show(made, days, chosen.language)


def _days(day: str, first: str, last: str) -> tuple[date, date]:
    if day and (first or last):
        raise typer.BadParameter("either --day, or --from and --to")
    begin = _day(day or first) if day or first else date.today()
    end = _day(day or last) if day or last else begin if day else date.today()
    if begin > end:
        raise typer.BadParameter("--to is before --from")
    return begin, end


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no day such as 2026-11-25") from None


def _facts(made: Report, days: tuple[date, date]) -> dict[str, object]:
    return {
        "from": days[0].isoformat(),
        "to": days[1].isoformat(),
        "limit": handins.LIMIT,
        "recorders": [asdict(tally) for tally in made.tallies],
        "late": [asdict(late) for late in made.late],
    }


def _csv(made: Report) -> str:
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(_COLUMNS)
    for tally in made.tallies:
        names = (f"'{cell}" if cell.startswith(_FORMULA) else cell for cell in _names(tally))
        figures = [tally.clips, tally.in_time, tally.late, round(tally.most_late), tally.unknown]
        rows.writerow([*names, *figures, tally.uncollected, "yes" if tally.away else "no"])
    return text.getvalue()


def _show(made: Report, days: tuple[date, date], language: str) -> None:
    if not made.tallies:
        typer.echo(word("handin", "none", language))
        return
    screen().print(_tallies(made, language))
    if made.late:
        screen().print(_late(made, language))
    if len(made.late) > _MOST_LATE:
        typer.echo(fill(word("handin", "more", language), {"count": len(made.late) - _MOST_LATE}))
    total = {name: sum(getattr(tally, name) for tally in made.tallies) for name in _FIGURES}
    about = {**total, "from": days[0].isoformat(), "to": days[1].isoformat()}
    about["away"] = sum(tally.away for tally in made.tallies)
    typer.echo(fill(word("handin", "total", language), about))


def _names(tally: Tally) -> tuple[str, str, str]:
    return tally.unit, tally.officer, tally.recorder


def _tallies(made: Report, language: str) -> Table:
    return _table(
        ("unit", "officer", "recorder", *_FIGURES),
        (_cells(each, language) for each in made.tallies),
        language,
    )


def _cells(tally: Tally, language: str) -> list[str]:
    if tally.away:
        return [*_names(tally), word("handin", "not-docked", language), *[""] * (len(_FIGURES) - 1)]
    most = duration(tally.most_late) if tally.late else ""
    figures = (tally.clips, tally.in_time, tally.late, most, tally.unknown, tally.uncollected)
    return [*_names(tally), *map(str, figures)]


def _late(made: Report, language: str) -> Table:
    rows = (
        [
            str(late.clip),
            late.officer,
            late.recorder,
            _when(late.recorded),
            _when(late.handed),
            duration(late.late),
        ]
        for late in made.late[:_MOST_LATE]
    )
    return _table(("clip", "officer", "recorder", "recorded", "handed", "most_late"), rows, language)


def _table(columns: tuple[str, ...], rows: Iterator[list[str]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in columns:
        table.add_column(word("handin", column, language), overflow="fold")
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
