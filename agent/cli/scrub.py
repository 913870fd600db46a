"""`recorder-station scrub`: how far the station has come with reading again what it has stored."""

import json
import time
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from agent.catalog import beside, scrubs
from agent.cli.config import ConfigPath
from agent.cli.speech import JsonOption, LanguageOption, setting, told
from agent.config import Config
from agent.words import fill, word


def scrub(
    data: Annotated[
        Path | None, typer.Option("--data", metavar="DIR", help="Another store, for instance a copy of one.")
    ] = None,
    as_json: JsonOption = False,
    config: ConfigPath = None,
    lang: LanguageOption = None,
) -> None:
    """Show how far the station has come with reading again what it has stored, and what came of it.

    Reads only; the agent may run."""
    chosen = setting(config, lang)
    settings = chosen.config or Config()
    with told(chosen.language), beside.reading(data or settings.store.path) as db:
        found = scrubs.figures(db, time.time(), settings.scrub.every)
    if as_json:
        print(json.dumps(found._asdict(), indent=2))
        return
    oldest = datetime.fromtimestamp(found.oldest).isoformat(" ", "minutes") if found.oldest else "–"
    typer.echo(fill(word("scrub", "state", chosen.language), {**found._asdict(), "oldest": oldest}))
