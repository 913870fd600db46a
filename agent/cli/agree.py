"""`recorder-station agree`: the second person."""

from typing import Annotated

import typer

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, tell, told


def agree(
    number: Annotated[int, typer.Argument(min=1, help="As it was told to who asked.")],
    name: Annotated[str, typer.Option("--name", help="Who agrees.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Agree to what another person asked for: a hold lifted, a case closed, shorter rules. Done at once."""
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post("/commands/agree", {"asked": str(number), "person": name})
        tell("retention", answer["what"], answer, chosen.language, as_json)
