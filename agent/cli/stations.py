"""`recorder-station centre stations`: all that tell of themselves at the centre, also for Prometheus."""

import json
import time
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.archive.stations import Told, told_of
from agent.archive.store import Store
from agent.cli.speech import screen
from agent.model import printable
from agent.words import fill, word

FileSdOption = Annotated[
    bool, typer.Option("--file-sd", help="Print those with an address as Prometheus' file_sd takes them.")
]


def show(store: Store, *, file_sd: bool, as_json: bool, language: str) -> None:
    """Reads one document of each station. Raises what the store raises."""
    store.place()  # a share that is not mounted is no empty store
    stations = told_of(store)
    if file_sd:
        print(json.dumps(_targets(stations), ensure_ascii=False, indent=2))
        if silent := sum(not one.address for one in stations):
            typer.echo(fill(word("centre", "no-address", language), {"count": silent}), err=True)
    elif as_json:
        rows = [{**one._asdict(), "written_at": _at(one.written_at)} for one in stations]
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        _table(stations, language)


def _targets(stations: list[Told]) -> list[dict[str, Any]]:
    return [
        {"targets": [one.address], "labels": {"station": one.id, "name": printable(one.name)}}
        for one in stations
        if one.address
    ]


def _table(stations: list[Told], language: str) -> None:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("station", "id", "told-at", "address"):
        table.add_column(word("centre", column, language), overflow="fold")
    for one in stations:
        cells = (printable(one.name) or "–", one.id, _at(one.written_at) or "–", one.address or "–")
        table.add_row(*map(Text, cells))
    screen().print(table)


def _at(when: float | None) -> str | None:
    """Local time; None also of what is no time that a calendar has."""
    try:
        return None if when is None else time.strftime("%Y-%m-%dT%H:%M:%S%z", time.localtime(when))
    except (OverflowError, ValueError, OSError):
        return None
