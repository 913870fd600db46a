"""`recorder-station upload`: what goes to the centre first, and what is tried again."""

from typing import Annotated

import typer

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, Language, LanguageOption, setting, tell, told

app = typer.Typer(help="What goes to the centre first, and what is tried again.", no_args_is_help=True)
Clip = Annotated[int, typer.Argument(min=1, help="The clip's id, as `recorder-station clips` shows it.")]


@app.command()
def now(
    clip: Clip, as_json: JsonOption = False, config: ConfigPath = None, lang: LanguageOption = None
) -> None:
    """Send this clip before all others, at any hour."""
    _ask("now", {"clip": str(clip)}, as_json, config, lang)


@app.command()
def slot(
    name: Annotated[str, typer.Argument(help="The slot's name, as `recorder-station status` shows it.")],
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Read the recorder in this slot first, and send its clips first, at any hour, with those still to come.

    Of an empty slot, those of the recorder that was there last."""
    _ask("slot", {"slot": name}, as_json, config, lang)


@app.command()
def retry(
    clip: Annotated[int | None, typer.Argument(min=1, help="The clip's id; else all of them.")] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Send clips again that the centre refused."""
    _ask("retry", {} if clip is None else {"clip": str(clip)}, as_json, config, lang)


def _ask(
    what: str, arguments: dict[str, str], as_json: bool, config: ConfigPath, lang: Language | None
) -> None:
    chosen = setting(config, lang)
    with told(chosen.language):
        answer = Client(chosen.socket).post(f"/commands/upload-{what}", arguments)
        tell("upload", what, {**arguments, **answer}, chosen.language, as_json)
