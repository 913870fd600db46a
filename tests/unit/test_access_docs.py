"""docs/access.md and its twin say of each role what the code says, and name every event."""

import ast
import re
from pathlib import Path

import pytest
import typer.main

from agent.access.roles import KIOSK, MACHINE, RIGHTS, Right, Role
from agent.cli import app
from tests.unit.test_docs import commands, is_a_command

ROOT = Path(__file__).parents[2]
GUIDES = [ROOT / "docs" / name for name in ("access.md", "access.zh-CN.md")]
SOURCES = [ROOT / "agent/catalog/accounts.py", ROOT / "agent/access/access.py"]
each_guide = pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.name)


@each_guide
def test_the_table_of_roles_is_what_the_station_goes_by(guide: Path) -> None:
    columns = [*(RIGHTS[role] for role in Role), MACHINE, KIOSK]
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \|$", guide.read_text("utf-8"), re.MULTILINE)
    told = {name: cells.split(" | ")[:-1] for name, cells in rows if name in set(Right)}
    assert set(told) == set(Right)
    for name, cells in told.items():
        assert [cell in ("yes", "是") for cell in cells] == [Right(name) in rights for rights in columns], (
            name
        )


@each_guide
def test_every_event_is_told(guide: Path) -> None:
    kinds = {
        str(value)
        for source in SOURCES
        for node in ast.walk(ast.parse(source.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in ("note", "_note")
        for argument in node.args
        if isinstance(argument, ast.Constant) and isinstance(value := argument.value, str) and value
    }
    assert len(kinds) == 8
    told = set(re.findall(r"^\| `([a-z-]+)` \|", guide.read_text("utf-8"), re.MULTILINE)) - set(Right)
    assert told == kinds


@each_guide
def test_every_command_in_it_is_real(guide: Path) -> None:
    found = [words[1:] for words in commands(guide)]
    assert len(found) > 8
    for words in found:
        is_a_command(words)
    shown = {tuple(words[:2]) for words in found}
    below = {
        (group, name)
        for group in ("account", "token")
        for name in typer.main.get_command(app).commands[group].commands  # type: ignore[attr-defined]
    }
    assert {
        ("account", "set"),
        ("account", "password"),
        ("token", "make"),
        ("token", "revoke"),
    } <= shown & below
