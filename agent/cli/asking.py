"""Who says so, and why: what every command asks that changes how long something is kept."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from agent.cli.speech import tell

NameOption = Annotated[str, typer.Option("--name", help="Who wants it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]


def done(answer: Mapping[str, Any], key: str, language: str, as_json: bool) -> None:
    """What came of it: done, or another person has to agree first."""
    tell("retention", "asked" if "asked" in answer else key, answer, language, as_json)
