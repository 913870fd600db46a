"""docs/commands.md tells every command with every option, and no other."""

import re
from collections.abc import Iterator
from pathlib import Path

import typer.main

from agent.cli import app

TEXT = (Path(__file__).parents[2] / "docs" / "commands.md").read_text()
HEADING = re.compile(r"^#{2,3} `recorder-station (.+)`$", re.MULTILINE)


def real(command: object, name: str = "") -> Iterator[tuple[str, set[str]]]:
    """(name, options) of every command, groups included."""
    below = getattr(command, "commands", {})
    options = {
        option
        for parameter in getattr(command, "params", [])
        for option in parameter.opts
        if option.startswith("--") and option != "--help"
    }
    yield name, options
    for key, inner in below.items():
        yield from real(inner, f"{name} {key}".strip())


def documented() -> dict[str, set[str]]:
    parts = HEADING.split(TEXT)[1:]
    return {
        name: set(re.findall(r"^\| `(--[a-z-]+)", text, re.MULTILINE))
        for name, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_every_command_is_documented_with_every_option() -> None:
    commands = dict(real(typer.main.get_command(app)))
    general = commands.pop("")
    assert documented() == commands
    assert [option for option in general if f"`{option}`" not in TEXT] == []
