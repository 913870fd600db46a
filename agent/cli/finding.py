"""`recorder-station finding`: what is unexplained about recordings, and what a custodian says of it."""

import json
import time
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.catalog import findings
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, tell, told
from agent.words import fill, sentence, word

app = typer.Typer(help="What is unexplained about recorders' recordings.", no_args_is_help=True)
_PAGE = 200  # rows that the agent gives at once


@app.command("list")
def show(
    config: ConfigPath = None,
    every: Annotated[bool, typer.Option("--all", help="Also those that are explained.")] = False,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """List what nobody has explained yet."""
    chosen = setting(config, lang)
    with told(chosen.language):
        rows = list(_rows(Client(chosen.socket), every))
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        screen().print(_table(rows, chosen.language))
    else:
        typer.echo(word("findings", "none", chosen.language))


@app.command()
def explain(
    number: Annotated[int, typer.Argument(min=1, help="Its number, as `finding list` shows it.")],
    text: Annotated[str, typer.Option("--text", help="What happened.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Say what happened. The finding stays, with the explanation and who gave it."""
    chosen = setting(config, lang)
    with told(chosen.language):
        Client(chosen.socket).post("/commands/finding-explain", {"finding": str(number), "text": text})
        tell("findings", "done", {"finding": number}, chosen.language, as_json)


def _rows(client: Client, every: bool) -> Iterator[dict[str, Any]]:
    after = 0
    while page := client.get("/findings", {"all": int(every), "after": after, "limit": _PAGE}):
        yield from page
        after = page[-1]["finding"]


def _table(rows: list[dict[str, Any]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("id", "found", "recorder", "finding", "state"):
        table.add_column(word("page", column, language), overflow="fold")
    for row in rows:
        cells = [
            str(row["finding"]),
            _when(row["found_at"]),
            row["recorder"],
            sentence(row["rule"], findings.params(row["facts"]), language, "findings"),
            "\n".join(_standing(row, language)),
        ]
        table.add_row(*map(Text, cells))
    return table


def _standing(row: dict[str, Any], language: str) -> Iterator[str]:
    yield word("findings", f"is-{row['state']}", language)
    if row["state"] == "open":
        for target, said in row["looked"].items():
            about = {"target": target, "time": _when(said["at"]), "left": said["left"]}
            yield fill(word("findings", "looked", language), about)
    if row["state"] == "explained":
        text = row["explanation"] or word("findings", "erased", language)
        yield f"{row['explained_by']}, {_when(row['changed_at'])}: {text}"


def _when(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))
