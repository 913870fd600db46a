"""`recorder-station clips`: what the station knows of each clip."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, told
from agent.model import ClipState
from agent.words import word
from agent.words.shown import size

_PAGE = 1000  # rows that the agent gives at once


def clips(
    config: ConfigPath = None,
    state: Annotated[ClipState | None, typer.Option("--state", help="Only clips in this state.")] = None,
    recorder: Annotated[str | None, typer.Option("--recorder", help="Only clips of this recorder.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many clips.")] = 100,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """List clips in the order in which they were first seen."""
    chosen = setting(config, lang)
    filters = {"state": state, "recorder": recorder}
    with told(chosen.language):
        asked = _rows(Client(chosen.socket), {k: v for k, v in filters.items() if v is not None}, limit + 1)
        rows = list(islice(asked, limit + 1))
    if as_json:
        print(json.dumps(rows[:limit], ensure_ascii=False, indent=2))
        return
    screen().print(_table(rows[:limit], chosen.language))
    if len(rows) > limit:
        print(word("page", "more", chosen.language), file=sys.stderr)


def _rows(client: Client, filters: dict[str, Any], wanted: int) -> Iterator[dict[str, Any]]:
    """Page by page, until there are no more."""
    after, size_of_page = 0, min(wanted, _PAGE)
    while True:
        page = client.get("/clips", {**filters, "after": after, "limit": size_of_page})
        yield from page
        if len(page) < size_of_page:
            return
        after = page[-1]["id"]


def _table(rows: list[dict[str, Any]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "state", "recorder", "officer", "recorded", "size", "name"):
        right = column in ("id", "size")
        table.add_column(
            word("page", column, language), justify="right" if right else "left", overflow="fold"
        )
    for row in rows:
        cells = [
            str(row["id"]),
            word("clips", row["state"], language),
            row["recorder"],
            row["officer"],
            row["recorded_at"] or "",
            size(row["size"]),
            row["path"],
        ]
        table.add_row(*map(Text, cells))
    return table
