"""`recorder-station account`: who may log in at this station, as what, and for which units."""

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from agent.access.commands import ALL
from agent.access.roles import Role
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, screen, setting, tell, told
from agent.errors import Reject
from agent.words import word

app = typer.Typer(help="Accounts: who may log in, as what, and for which units.", no_args_is_help=True)
NameArgument = Annotated[str, typer.Argument(help="The account's name.")]
_LONGEST = 4096  # characters of a line that may be a password


@app.command("set")
def put(
    name: NameArgument,
    role: Annotated[Role, typer.Option("--role", help="What the account may do.")],
    unit: Annotated[
        list[str] | None, typer.Option("--unit", help="Of a custodian or reviewer: a unit; repeatable.")
    ] = None,
    all_units: Annotated[bool, typer.Option("--all-units", help="Instead: every unit.")] = False,
    officer: Annotated[str, typer.Option("--officer", help="Of an officer: the number.")] = "",
    config: ConfigPath = None,
    as_json: JsonOption = False,
    lang: LanguageOption = None,
) -> None:
    """Make an account, or change one. Its password stays; its sessions end."""
    if unit and all_units:
        raise typer.BadParameter("either --unit or --all-units")
    units = ALL if all_units else json.dumps(unit, ensure_ascii=False) if unit else ""
    chosen = setting(config, lang)
    with told(chosen.language):
        said = {"name": name, "role": role, "units": units, "officer": officer}
        answer = Client(chosen.socket).post("/commands/account-set", said)
        key = "account-set" if answer["password"] else "account-set-locked"
        tell("access", key, answer, chosen.language, as_json)


@app.command()
def password(
    name: NameArgument, config: ConfigPath = None, as_json: JsonOption = False, lang: LanguageOption = None
) -> None:
    """Set the password: asked for without being shown, or read from standard input. Its sessions end."""
    chosen = setting(config, lang)
    with told(chosen.language):
        said = {"name": name, "password": _password(chosen.language)}
        answer = Client(chosen.socket).post("/commands/account-password", said)
        tell("access", "password-set", answer, chosen.language, as_json)


@app.command()
def remove(
    name: NameArgument, config: ConfigPath = None, as_json: JsonOption = False, lang: LanguageOption = None
) -> None:
    """Remove an account. Its sessions end; what it did stays in the log."""
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/account-remove", {"name": name})
        tell("access", "account-removed", answer, chosen.language, as_json)


@app.command("list")
def show(config: ConfigPath = None, as_json: JsonOption = False, lang: LanguageOption = None) -> None:
    """List the accounts."""
    chosen = setting(config, lang)
    with told(chosen.language):
        rows = Client(chosen.socket).post("/commands/account-list", {})["accounts"]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False, indent=2))
    elif rows:
        screen().print(_table(rows, chosen.language))
    else:
        typer.echo(word("access", "no-accounts", chosen.language))


def _password(language: str) -> str:
    """Never an argument: those are seen by every user of the machine, and kept by shells."""
    if not sys.stdin.isatty():
        return sys.stdin.readline(_LONGEST).rstrip("\r\n")
    first, second = (
        typer.prompt(word("access", key, language), hide_input=True, default="", show_default=False, err=True)
        for key in ("password", "password-again")
    )
    if first != second:
        raise Reject("bad-password", kind="differs")
    return str(first)


def _table(rows: list[dict[str, Any]], language: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for column in ("account", "role", "units", "officer", "login"):
        table.add_column(word("access", column, language), overflow="fold")
    for row in rows:
        units = word("access", "all-units", language) if row["units"] == ALL else ", ".join(row["units"])
        cells = [
            row["account"],
            word("access", row["role"], language),
            units,
            row["officer"],
            word("access", "may-log-in" if row["password"] else "no-password", language),
        ]
        table.add_row(*map(Text, cells))
    return table
