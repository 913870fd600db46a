import json
import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from agent.cli.config import app
from agent.config import Config, load
from agent.config.units import show_size


def run(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def station(tmp_path: Path) -> Path:
    return tmp_path / "station.yaml"


def test_check_says_ok_and_which_files_it_read(station: Path) -> None:
    assert run("check", "--config", station).stdout == f"ok: no file at {station}, only the defaults\n"
    station.write_text("upload: {uploaders: 3}")
    result = run("check", "--config", station)
    assert (result.exit_code, result.stdout) == (0, f"ok: {station}\n")


@pytest.mark.parametrize("command", [["check"], ["show"], ["show", "--changed"]])
def test_faults_go_to_stderr_one_per_line_with_exit_code_1(station: Path, command: list[str]) -> None:
    station.write_text("uplaod: 1\nweb: {listen: x}\n")
    result = run(*command, "--config", station)
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert [line.removeprefix(f"{station}:")[:3] for line in lines] == ["1: ", "2: "]


def test_show_prints_yaml_that_loads_as_the_same_configuration(station: Path, tmp_path: Path) -> None:
    station.write_text("station: {name: 一号}\nstore: {reserve: 2 GiB}\n")
    again = tmp_path / "again.yaml"
    for options in ([], ["--changed"]):
        again.write_text(run("show", *options, "--config", station).stdout)
        assert load(again) == load(station)
    assert run("show", "--changed", "--config", station).stdout == (
        "station:\n  name: 一号\nstore:\n  reserve: 2 GiB\n"
    )


def test_show_changed_of_the_defaults_prints_nothing(station: Path) -> None:
    assert run("show", "--changed", "--config", station).stdout == ""


def test_schema_is_json_schema_with_defaults_as_people_write_them() -> None:
    schema = json.loads(run("schema").stdout)
    assert set(schema["properties"]) == set(Config.model_fields)
    reserve = schema["$defs"]["StoreConfig"]["properties"]["reserve"]
    assert reserve["default"] == show_size(Config().store.reserve)
    assert re.search(reserve["pattern"], reserve["default"])
    assert not re.search(reserve["pattern"], "2 XB")
    duration = schema["$defs"]["DockConfig"]["properties"]["stuck_after"]
    assert (duration["type"], duration["default"]) == ("string", "1 min")
    assert yaml.safe_dump(schema)
