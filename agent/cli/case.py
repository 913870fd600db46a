"""`recorder-station case`: whether a case is over, which its recordings wait for."""

from typing import Annotated

import typer

from agent.cli.asking import NameOption, ReasonOption, done
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, told

app = typer.Typer(help="Cases, which recordings are kept with.", no_args_is_help=True)
NumberArgument = Annotated[str, typer.Argument(help="The case's number.")]


@app.command()
def close(
    number: NumberArgument,
    name: NameOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Say that a case is over: its recordings are kept by the other rules from now on."""
    chosen = setting(config, lang)
    with told(chosen.language):
        said = {"case": number, "person": name, "reason": reason}
        answer = Client(chosen.socket).post("/commands/case-close", said)
        done(answer, "case-close", chosen.language, as_json)


@app.command("open")
def reopen(
    number: NumberArgument,
    name: NameOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Open a case again that was closed."""
    chosen = setting(config, lang)
    with told(chosen.language):
        said = {"case": number, "person": name, "reason": reason}
        answer = Client(chosen.socket).post("/commands/case-open", said)
        done({**answer, "case": number}, "case-open", chosen.language, as_json)
