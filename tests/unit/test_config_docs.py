"""The documentation, the example and the schema say the same."""

import json
import re
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent.config import Config, load
from agent.config.live import AT_RESTART

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
EXAMPLE = ROOT / "config" / "station.yaml"


def keys(model: type[BaseModel], above: str = "") -> Iterator[str]:
    """Every dotted key; NAME stands for a name that the operator chooses."""
    for name, about in model.model_fields.items():
        kind: Any = about.annotation
        if typing.get_origin(kind) is dict:
            yield above + name
            yield from values(typing.get_args(kind)[1], f"{above}{name}.NAME")
        elif isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from keys(kind, f"{above}{name}.")
        else:
            yield above + name


def values(kind: Any, above: str) -> Iterator[str]:
    """Those of a section whose name the operator chooses; of several kinds, each key once."""
    if typing.get_origin(kind) is typing.Annotated:
        kind = typing.get_args(kind)[0]
    kinds = typing.get_args(kind) or (kind,)
    if all(isinstance(one, type) and issubclass(one, BaseModel) for one in kinds):
        yield from dict.fromkeys(key for one in kinds for key in keys(one, f"{above}."))
    else:
        yield above


ROW = re.compile(r"^\| `([\w.]+)`( \*\*R\*\*)? \| (.+?) \| (.+?) \| (.+?) \|$", re.M)
ROWS = {row[0]: row for row in ROW.findall(DOCS)}
KEYS = list(keys(Config))


def test_every_key_is_documented_and_no_other() -> None:
    assert list(ROWS) == KEYS


@pytest.mark.parametrize("key", [key for key in KEYS if ".NAME" not in key and key != "station.name"])
def test_the_documented_default_is_the_default(key: str) -> None:
    value: Any = Config().model_dump(mode="json")
    for name in key.split("."):
        value = value[name]
    shown = value if isinstance(value, str) else json.dumps(value)
    assert ROWS[key][3] == f"`{shown}`"


def test_the_keys_that_need_a_restart_are_marked() -> None:
    assert {key for key, row in ROWS.items() if row[1]} == set(AT_RESTART)


def test_the_example_is_the_defaults_as_it_stands() -> None:
    assert load(EXAMPLE) == Config()


def test_the_example_shows_every_key_and_loads_when_all_of_it_is_used(tmp_path: Path) -> None:
    used = tmp_path / "station.yaml"
    used.write_text(re.sub(r"^(\s*)#(?=\w+:)", r"\1", EXAMPLE.read_text(), flags=re.M))
    config = load(used)
    shown = config.model_dump(exclude_unset=True)
    for key in KEYS:
        assert is_shown(shown, key.split(".")), key


def is_shown(place: Any, names: list[str]) -> bool:
    """Under any of the names that an operator chose."""
    match names:
        case []:
            return True
        case ["NAME", *rest]:
            return any(is_shown(value, rest) for value in place.values())
        case [name, *rest]:
            return name in place and is_shown(place[name], rest)
    raise AssertionError(names)
