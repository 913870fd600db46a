"""`recorder-station issue`: what is wrong with the station, and who knows of it."""

from typing import Annotated

import typer

from agent.cli.asking import NameOption
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, tell, told

app = typer.Typer(help="What is wrong with the station, and who knows of it.", no_args_is_help=True)


@app.command()
def acknowledge(
    key: Annotated[str, typer.Argument(help="The issue's key, as `status --json` shows it.")],
    name: NameOption,
    note: Annotated[str, typer.Option("--note", help="What is done about it.")],
    subject: Annotated[
        str | None, typer.Option("--subject", help="Which one, where several of one key stand.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Say that somebody knows of an issue. It stays listed until it is over."""
    chosen = setting(config, lang)
    said = {"key": key, "person": name, "note": note}
    with told(chosen.language):
        given = said if subject is None else {**said, "subject": subject}
        answer = Client(chosen.socket).post("/commands/issue-acknowledge", given)
        tell("order", "issue-acknowledge", answer, chosen.language, as_json)
