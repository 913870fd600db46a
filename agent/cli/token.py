"""`recorder-station token`: machines that may ask for status and metrics."""

import json
from datetime import datetime, timedelta
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, tell, told
from agent.words import fill, word

app = typer.Typer(
    help="Tokens: machines that may ask for status and metrics, with names masked.", no_args_is_help=True
)
NameArgument = Annotated[str, typer.Argument(help="What the token is called.")]


@app.command()
def make(
    name: NameArgument,
    expires: Annotated[
        datetime | None,
        typer.Option(
            "--expires", formats=["%Y-%m-%d"], help="The last day on which it works; else for ever."
        ),
    ] = None,
    config: ConfigPath = None,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Make a token and print it: this once, it cannot be shown again."""
    chosen = setting(config, lang)
    with told(chosen.language):
        said = {"name": name, "expires": expires.date().isoformat() if expires else ""}
        answer = Client(chosen.socket).post("/commands/token-make", said)
    if as_json:
        print(json.dumps({key: answer[key] for key in ("token", "secret", "expires")}, ensure_ascii=False))
    else:
        print(answer["secret"])
        typer.echo(fill(word("access", "token-made", chosen.language), answer), err=True)


@app.command()
def revoke(
    name: NameArgument, config: ConfigPath = None, as_json: JsonOption = False, lang: LanguageOption = None
) -> None:
    """Revoke a token: it works no more from now on."""
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/token-revoke", {"name": name})
        tell("access", "token-revoked", answer, chosen.language, as_json)


@app.command("list")
def show(config: ConfigPath = None, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """List the tokens that are not revoked, never what is secret of them."""
    chosen = setting(config, lang)
    with told(chosen.language):
        rows = Client(chosen.socket).post("/commands/token-list", {})["tokens"]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        screen().print(_table(rows, chosen.language))
    else:
        typer.echo(word("access", "no-tokens", chosen.language))


def _table(rows: list[dict[str, Any]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("token", "expires", "used", "state"):
        table.add_column(word("access", column, language), overflow="fold")
    for row in rows:
        cells = [
            row["token"],
            _last_day(row["expires"]) or word("access", "for-ever", language),
            row["used"] or word("access", "never", language),
            word("access", f"token-{row['state']}", language),
        ]
        table.add_row(*map(Text, cells))
    return table


def _last_day(expires: float | None) -> str:
    """Its end is the midnight behind."""
    return "" if expires is None else f"{datetime.fromtimestamp(expires) - timedelta(hours=1):%Y-%m-%d}"
