"""`recorder-station support-bundle`: what a maintainer needs to see, with nobody's name in it."""

import json
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.client import Client
from agent.cli.config import ConfigPath
from agent.cli.doctor import facts
from agent.cli.examine import examine
from agent.cli.speech import JsonOption, LanguageOption, setting, spoken, told
from agent.config.layers import sound
from agent.errors import StationError
from agent.support.bundle import Asked, write
from agent.words import fill, word


def support_bundle(
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE", help="The file; else one here."),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Write one file for whoever maintains this program: state, health, configuration, journal, machine.

    No recording, no name and no secret is in it. It needs no running agent."""
    chosen = setting(config, lang)
    known = chosen.config or sound(config)
    file = out or Path(time.strftime("recorder-station-support-%Y%m%d-%H%M%S.tar.gz"))
    asked = Asked(
        config=known,
        path=config,
        faults=chosen.faults,
        status=_status(known.web.socket),
        doctor=facts(list(examine(chosen)), "en"),
    )
    with told(chosen.language):
        parts = write(file, asked)
    if as_json:
        print(json.dumps({"file": str(file), "parts": parts}, ensure_ascii=False, indent=2))
    else:
        typer.echo(fill(word("support", "written", chosen.language), {"file": str(file)}))


def _status(socket: Path) -> Any:
    try:
        return Client(socket).get("/status")
    except StationError as error:
        return {"none": spoken(error, "en")}
