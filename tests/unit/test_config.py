"""The layers and the schema, where nothing is wrong."""

import socket
from pathlib import Path

import pytest
from pydantic import ValidationError

from agent.config import Config, changed, load, station_path
from agent.config.layers import ENVIRONMENT, STATION_FILE
from agent.config.retention import SHIPPED_CLASSES
from agent.config.schema import DockConfig, SlotConfig
from agent.config.targets import FolderTarget
from agent.config.web import place


@pytest.fixture
def station(tmp_path: Path) -> Path:
    (tmp_path / "conf.d").mkdir()
    return tmp_path / "station.yaml"


def test_without_any_file_the_defaults_are_the_configuration(tmp_path: Path) -> None:
    config = load(tmp_path / "none" / "station.yaml")
    assert config == Config()
    assert config.station.name == socket.gethostname()
    assert config.store.reserve == 512 << 20
    assert config.dock.stuck_after == 60.0
    assert config.dock.simulated_rack is None
    assert place(config.web.listen) == ("127.0.0.1", 8080)


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "dock:\nstore:\n  # path: /x\ntargets:\n"])
def test_an_empty_file_or_section_says_nothing(station: Path, text: str) -> None:
    station.write_text(text)
    assert load(station) == Config()


def test_later_files_win_key_by_key_in_the_order_of_their_names(station: Path) -> None:
    station.write_text(
        "upload: {uploaders: 1}\ningest: {copies: 1, sm3: on}\ndock: {slots: {A: {port: x}}}\n"
    )
    (station.parent / "conf.d" / "20.yaml").write_text("upload: {uploaders: 4}\ndock:\n  slots:\n")
    (station.parent / "conf.d" / "10.yaml").write_text(
        "upload: {uploaders: 3}\ningest: {copies: 2}\ndock: {slots: {A: {reader: true}, B: {port: y}}}\n"
    )
    config = load(station)
    assert config.upload.uploaders == 4
    assert (config.ingest.copies, config.ingest.sm3) == (2, True)
    assert config.dock.slots == {"A": SlotConfig(port="x", reader=True), "B": SlotConfig(port="y")}


def test_a_later_file_can_take_a_value_away(station: Path) -> None:
    station.write_text("dock: {simulated_rack: /rack}\n")
    (station.parent / "conf.d" / "a.yaml").write_text("dock: {simulated_rack: null}\n")
    assert load(station).dock.simulated_rack is None


def test_hidden_and_foreign_files_in_conf_d_are_passed_over(station: Path) -> None:
    for name in (".#a.yaml", ".a.yaml.swp", "a.yaml~", "README", "a.yaml.rpmnew"):
        (station.parent / "conf.d" / name).write_text("[[[")
    (station.parent / "conf.d" / ".lock.yaml").symlink_to("user@host.1:2")
    assert load(station) == Config()


def test_a_station_may_be_named_in_chinese_and_a_slot_by_a_number(station: Path) -> None:
    station.write_text(
        "\ufeffstation: {name: 一号采集站}\ndock: {slots: {1: {port: x}, 02: {port: y}, no: {port: z}}}\n"
    )
    config = load(station)
    assert config.station.name == "一号采集站"
    assert list(config.dock.slots) == ["1", "02", "no"]


def test_windows_line_ends_are_read(station: Path) -> None:
    station.write_bytes(b"upload:\r\n  uploaders: 3\r\n")
    assert load(station).upload.uploaders == 3


def test_the_environment_names_another_file_and_an_argument_wins(
    station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENVIRONMENT, raising=False)
    assert station_path() == STATION_FILE
    monkeypatch.setenv(ENVIRONMENT, str(station))
    station.write_text("upload: {uploaders: 3}")
    (station.parent / "conf.d" / "a.yaml").write_text("ingest: {copies: 9}")
    assert (load().upload.uploaders, load().ingest.copies) == (3, 9)
    assert load(station.parent / "other" / "station.yaml") == Config()


def test_changed_shows_only_what_differs_and_loads_again_as_the_same(station: Path) -> None:
    import yaml

    text = (
        "station: {name: 'no'}\nstore: {reserve: 2 GiB}\ndock: {udev: true, stuck_after: 90 s, "
        "slots: {'1': {port: x}}}\n"
        "targets: {c: {kind: folder, path: /mnt/c}}\n"
    )
    station.write_text(text)
    config = load(station)
    assert changed(config) == {
        "station": {"name": "no"},
        "store": {"reserve": "2 GiB"},
        "dock": {"stuck_after": "90 s", "slots": {"1": {"port": "x"}}},
        "targets": {"c": {"kind": "folder", "path": "/mnt/c"}},
    }
    for written in (changed(config), config.model_dump(mode="json")):
        station.write_text(yaml.safe_dump(written, allow_unicode=True))
        assert load(station) == config
    assert changed(Config()) == {}


def test_periods_under_their_former_names_are_read_as_the_same(station: Path) -> None:
    """A station that is updated keeps its file, and must not fall back to other periods."""
    station.write_text(
        "retention:\n  ordinary: 400 days\n  important: permanent\n  classes: {ordinary: {local: 9 days}}\n"
    )
    retention = load(station).retention
    assert retention.every_class["ordinary"].centre == 400 * 86400
    assert retention.every_class["ordinary"].local == 9 * 86400
    assert retention.every_class["important"] == SHIPPED_CLASSES["important"]
    station.write_text("retention: {ordinary: 400 days, classes: null}\n")
    assert load(station).retention.every_class["ordinary"].seconds == 400 * 86400


def test_a_configuration_cannot_be_edited() -> None:
    with pytest.raises(ValidationError):
        setattr(Config().upload, "uploaders", 3)  # noqa: B010 - what mypy refuses must fail when run, too


def test_code_may_build_sections_with_plain_values() -> None:
    dock = DockConfig(stuck_after=0.5, slots={"A": SlotConfig(port="x")}, simulated_rack=Path("/rack"))
    config = Config(dock=dock, targets={"c": FolderTarget(kind="folder", path=Path("/c"))})
    assert config.dock.stuck_after == 0.5
    with pytest.raises(ValidationError, match="is the port of slot `A` already"):
        DockConfig(slots={"A": SlotConfig(port="x"), "B": SlotConfig(port="x")})
