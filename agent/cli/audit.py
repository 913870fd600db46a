"""`recorder-station audit`: samples of clips for inspection."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import beside
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, tell, told
from agent.custody.inspection.orders import Order, sample
from agent.custody.inspection.sample import By
from agent.words import fill, word

app = typer.Typer(help="Samples of clips for inspection.", no_args_is_help=True)


@app.command()
def draw(
    count: Annotated[int, typer.Option("--count", min=1, help="At most so many clips of each stratum.")],
    by: Annotated[By, typer.Option("--by", help="What the strata are.")] = By.NONE,
    first: Annotated[str | None, typer.Option("--from", help="First day of recording, YYYY-MM-DD.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Last day of recording, YYYY-MM-DD.")] = None,
    size: Annotated[
        int | None,
        typer.Option("--size", min=1, help="The head of this size is the seed; else the last one."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", metavar="DIR", help="Draw again from a store, or a copy of one; records nothing."
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Draw a random sample of stored clips that anybody can draw again from the same head of the log."""
    chosen = setting(config, lang)
    days = {name: day for name, day in (("first", first), ("last", last)) if day is not None}
    with told(chosen.language):
        if data is not None:
            with beside.reading(data) as db:
                answer = sample(db, data / "custody", Order(count, by, size, **days)).told()
        else:
            asked = {"count": str(count), "by": str(by), **({"size": str(size)} if size else {}), **days}
            answer = Client(chosen.socket).post("/commands/audit-draw", asked)
    if as_json:
        answer.pop("done", None)
        print(json.dumps(answer, ensure_ascii=False, indent=2))
        return
    typer.echo(fill(word("sample", "head", chosen.language), {**answer, "count": len(answer["clips"])}))
    screen().print(_table(answer["clips"], chosen.language))


@app.command()
def record(
    clip: Annotated[int, typer.Argument(min=1, help="The clip's id.")],
    result: Annotated[str, typer.Option("--result", help="passed or defect.")],
    text: Annotated[str, typer.Option("--text", help="What was found.")] = "",
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Record what the inspection of a clip found. It stays in the log."""
    chosen = setting(config, lang)
    with told(chosen.language):
        asked = {"clip": str(clip), "result": result, "text": text}
        Client(chosen.socket).post("/commands/audit-record", asked)
        tell("sample", "recorded", {"clip": clip, "result": result}, chosen.language, as_json)


def _table(clips: list[dict[str, Any]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("clip", "event", "file", "sha256"):
        table.add_column(word("sample", column, language), overflow="fold")
    for one in clips:
        table.add_row(*map(Text, (str(one["clip"]), str(one["seq"]), one["key"], one["sha256"])))
    return table
