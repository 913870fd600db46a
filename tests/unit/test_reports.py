"""The threads that tell the targets: one that hangs holds up no other, and what fails for long is told."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.config import Config
from agent.errors import Reject, Transient
from agent.upload.live import LiveUploads
from agent.upload.report import reports as reports_module
from agent.upload.report.reports import Reports
from agent.upload.report.turn import Author
from agent.upload.report.who import station_id
from agent.upload.targets.base import Check, go_on
from agent.upload.targets.folder import FolderTarget
from drivers import names
from tests import centre
from tests.uploading import Station, content, eventually, locked

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports_module, "FIRST", 0.01)
    monkeypatch.setattr(reports_module, "EVERY", 0.01)


def live(station: Station) -> LiveUploads:
    reports = Reports(Author(ID, "one", lambda: {"station": "test"}), names.parse)
    return LiveUploads(station.catalog, station.path, locked(), reports)


def config(**targets: Path) -> Config:
    for path in targets.values():
        path.mkdir(exist_ok=True)
    made = {name: {"kind": "folder", "path": path, "local": True} for name, path in targets.items()}
    return Config.model_validate({"targets": made})


def events(share: Path) -> int:
    def fetch(path: str) -> bytes | None:
        return (share / path).read_bytes() if (share / path).exists() else None

    if fetch(f"stations/{ID}/status.json") is None:
        return 0
    return len(centre.events(fetch, ID))


def happened(station: Station) -> int:
    return int(station.catalog.read().execute("SELECT count(*) FROM events").fetchone()[0])


def test_every_target_is_told_and_one_that_is_added_later_the_whole_story(
    station: Station, tmp_path: Path
) -> None:
    uploads = live(station)
    station.store("1.mp4", content(1000))
    uploads.apply(config(a=tmp_path / "a", b=tmp_path / "b"))
    eventually(lambda: station.states() == {"confirmed"})
    eventually(lambda: events(tmp_path / "a") == events(tmp_path / "b") == happened(station))
    uploads.apply(config(a=tmp_path / "a", c=tmp_path / "c"))
    station.store("2.mp4", content(2000))
    uploads.notify()
    eventually(lambda: station.states() == {"confirmed"})
    eventually(lambda: events(tmp_path / "a") == events(tmp_path / "c") == happened(station))
    assert list(uploads.untold()) == []
    assert uploads.stop(60)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("report-")]


def test_a_share_that_hangs_holds_up_no_other(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    caught, go = threading.Event(), threading.Event()
    real = FolderTarget.lay

    def lay(self: FolderTarget, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        if self.name == "a":
            caught.set()
            assert go.wait(60)
        return real(self, path, data, replace=replace, check=check)

    monkeypatch.setattr(FolderTarget, "lay", lay)
    monkeypatch.setattr(reports_module, "PATIENCE", 0.0)
    uploads = live(station)
    uploads.apply(config(a=tmp_path / "a", b=tmp_path / "b"))
    assert caught.wait(60)
    station.store("1.mp4", content(1000))
    uploads.notify()
    eventually(lambda: station.states() == {"confirmed"})
    eventually(lambda: events(tmp_path / "b") == happened(station))
    eventually(lambda: ("a", "station-not-told") in [(name, one.key) for name, one in uploads.untold()])
    assert not uploads.stop(0.2)  # the agent ends without it
    go.set()
    assert uploads.stop(60)
    assert not (tmp_path / "a" / "stations" / ID / "status.json").exists()


def test_what_fails_is_told_only_when_it_has_failed_for_long(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = live(station)
    settings = config(a=tmp_path / "a")
    (tmp_path / "a" / ".recorder-station-target").write_text('{"id": "here"}')
    (tmp_path / "a" / "stations").write_text("no folder")
    uploads.apply(settings)
    station.store("1.mp4", content(1000))
    uploads.notify()
    eventually(lambda: station.states() == {"confirmed"})
    assert list(uploads.untold()) == []
    assert uploads.failing() == {}
    monkeypatch.setattr(reports_module, "PATIENCE", 0.0)
    eventually(lambda: any(one.params.get("error") == "target-conflict" for _, one in uploads.untold()))
    (tmp_path / "a" / "stations").unlink()
    eventually(lambda: events(tmp_path / "a") == happened(station))
    monkeypatch.undo()
    assert list(uploads.untold()) == []
    assert uploads.stop(60)


def test_a_target_that_says_itself_that_it_is_away_is_not_told_a_second_time(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports_module, "PATIENCE", -1.0)
    uploads = live(station)
    uploads.apply(config(a=tmp_path / "a"))
    eventually(lambda: (tmp_path / "a" / "stations" / ID / "status.json").exists())
    assert [name for name, _ in uploads.untold()] == ["a"]
    (tmp_path / "a").rename(tmp_path / "away")
    station.store("1.mp4", content(1000))
    uploads.apply(config(b=tmp_path / "b", a=tmp_path / "a"))
    eventually(lambda: "a" in uploads.failing())
    assert "a" not in [name for name, _ in uploads.untold()]
    assert uploads.stop(60)


def test_a_station_keeps_its_id_as_long_as_its_store(tmp_path: Path) -> None:
    made = station_id(tmp_path)
    assert station_id(tmp_path) == made
    (tmp_path / "other").mkdir()
    assert station_id(tmp_path / "other") != made


@pytest.mark.parametrize("damage", ["", "../../etc", "0123", "F" * 32, "0" * 33])
def test_what_is_no_id_becomes_no_path(tmp_path: Path, damage: str) -> None:
    (tmp_path / "station-id").write_text(damage)
    made = station_id(tmp_path)
    assert made != damage
    assert int(made, 16) >= 0
    assert station_id(tmp_path) == made


def test_on_an_image_it_is_the_machine_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "image").touch()
    (tmp_path / "machine-id").write_text(f"{ID}\n")
    monkeypatch.setattr("agent.booted.IMAGE", tmp_path / "image")
    monkeypatch.setattr("agent.booted.MACHINE_ID", tmp_path / "machine-id")
    assert station_id(tmp_path) == ID
    assert not (tmp_path / "station-id").exists()


def test_the_highest_number_of_a_log_at_any_target_is_found_across_gaps(
    station: Station, tmp_path: Path
) -> None:
    uploads = live(station)
    assert uploads.highest_log(4) == 4  # nobody is told
    uploads.apply(config(a=tmp_path / "a", b=tmp_path / "b"))
    eventually(lambda: events(tmp_path / "a") == events(tmp_path / "b") == happened(station))
    assert uploads.highest_log(1) == 1
    for share, number in (("a", 2), ("b", 3), ("b", 5), ("a", 9), ("a", 90)):
        folder = tmp_path / share / "stations" / ID / "custody" / str(number)
        folder.mkdir(parents=True)
        (folder / "key.pub").write_bytes(b"a key")
    assert uploads.highest_log(1) == 9
    assert uploads.stop(60)


def test_a_target_that_cannot_be_asked_for_its_logs_is_not_passed_over(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploads = live(station)
    uploads.apply(config(a=tmp_path / "a"))
    eventually(lambda: events(tmp_path / "a") == happened(station))

    def fetch(self: FolderTarget, path: str, check: Check = go_on) -> bytes | None:
        raise Transient("target-unreachable", error="timeout")

    monkeypatch.setattr(FolderTarget, "fetch", fetch)
    with pytest.raises(Reject) as refused:
        uploads.highest_log(1)
    assert (refused.value.key, refused.value.params["target"]) == ("target-unreachable", "a")
    assert uploads.stop(60)


def test_how_each_target_fares_is_told_and_how_long_it_took_to_answer(
    station: Station, tmp_path: Path
) -> None:
    uploads = live(station)
    assert uploads.fares() == {}
    uploads.apply(config(a=tmp_path / "a"))
    try:
        eventually(lambda: uploads.fares()["a"].up)
        fare = uploads.fares()["a"]
        assert fare.took is not None
        assert 0 <= fare.took < 60
        assert fare.since is not None
        assert fare.since >= 0
    finally:
        assert uploads.stop(10)


def test_a_target_that_goes_away_while_nothing_is_to_be_sent_is_down_and_comes_back(
    station: Station, tmp_path: Path
) -> None:
    uploads, share = live(station), tmp_path / "a"
    uploads.apply(config(a=share))
    try:
        eventually(lambda: uploads.fares()["a"].up)
        share.rename(tmp_path / "away")
        eventually(lambda: not uploads.fares()["a"].up)
        assert uploads.failing() == {}  # no clip has found out yet
        (tmp_path / "away").rename(share)
        eventually(lambda: uploads.fares()["a"].up)
    finally:
        assert uploads.stop(10)


def test_a_target_that_never_answered_is_down(station: Station, tmp_path: Path) -> None:
    uploads = live(station)
    made = config(a=tmp_path / "a")
    (tmp_path / "a").rmdir()
    uploads.apply(made)
    try:
        eventually(lambda: "a" in uploads.failing())
        assert uploads.fares() == {"a": (False, None, None)}
    finally:
        assert uploads.stop(10)
