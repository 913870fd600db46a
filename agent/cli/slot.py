"""`recorder-station slot`: slots of the rack that are not to be used."""

from typing import Annotated

import typer

from agent.cli.asking import NameOption, ReasonOption
from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, Language, LanguageOption, setting, tell, told

app = typer.Typer(help="Slots of the rack that are not to be used.", no_args_is_help=True)
Slot = Annotated[str, typer.Argument(help="The slot's name, as `recorder-station status` shows it.")]


@app.command()
def stop(
    slot: Slot,
    name: NameOption,
    reason: ReasonOption,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Use this slot no more. What is being copied there is finished; then it takes no recorder."""
    _order("stop", {"slot": slot, "person": name, "reason": reason}, as_json, config, lang)


@app.command()
def use(
    slot: Slot,
    name: NameOption,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Use this slot again. A recorder that waits in it is collected."""
    _order("use", {"slot": slot, "person": name}, as_json, config, lang)


def _order(
    what: str, arguments: dict[str, str], as_json: bool, config: ConfigPath, lang: Language | None
) -> None:
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post(f"/commands/slot-{what}", arguments)
        tell("order", f"slot-{what}", answer, chosen.language, as_json)
