"""Who says so, and why: what every command asks that changes how long something is kept."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from agent.words import fill, word

NameOption = Annotated[str, typer.Option("--name", help="Who wants it.")]
ReasonOption = Annotated[str, typer.Option("--reason", help="Why.")]


def done(answer: Mapping[str, Any], key: str, language: str) -> None:
    """What came of it: done, or another person has to agree first."""
    typer.echo(fill(word("retention", "asked" if "asked" in answer else key, language), answer))
