"""The configuration changes, or the agent stops, while an upload hangs in its share."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import deliveries
from agent.config import Config
from agent.config.live import LiveConfig
from agent.errors import CatalogError
from agent.upload import live as live_module
from agent.upload import scheduler
from agent.upload.live import LiveUploads
from agent.upload.targets import share
from agent.upload.targets.folder import FolderTarget
from tests.uploading import PART, Bytes, Station, content, eventually, locked

NEVER = 3600.0  # seconds


def config(uploaders: int = 2, **targets: Path) -> Config:
    made = {name: {"kind": "folder", "path": path, "local": True} for name, path in targets.items()}
    return Config.model_validate({"targets": made, "upload": {"uploaders": uploaders}})


class Hang:
    """The first read of the share that `when` picks is answered only when `go` is set; with `everyone`
    the later ones hang too, until `later` is set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, when: Callable[..., bool], *, everyone: bool = False):
        self._real, self._when, self._everyone = share.digest, when, everyone
        self._lock = threading.Lock()
        self._first = True
        self.caught, self.go, self.later = threading.Event(), threading.Event(), threading.Event()
        monkeypatch.setattr(share, "digest", self)

    def __call__(self, fd: int, offset: int, length: int | None, check: Any) -> tuple[int, bytes]:
        with self._lock:
            picked = self._when(length) and (self._first or self._everyone)
            first, self._first = picked and self._first, self._first and not picked
        result = self._real(fd, offset, length, check)
        if picked:
            self.caught.set()
            assert (self.go if first else self.later).wait(60)
        return result

    def release(self) -> None:
        self.go.set()
        self.later.set()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


@pytest.fixture
def uploads(station: Station) -> Iterator[LiveUploads]:
    made = LiveUploads(station.catalog, station.path, locked())
    yield made
    assert made.stop(60)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """An uploader that does not leave at once counts as one that hangs."""
    monkeypatch.setattr(live_module, "_STOP", 0.1)


def uploaders() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("upload-")}


@pytest.mark.usefixtures("impatient")
def test_who_hung_through_a_change_of_targets_confirms_nothing_any_more(
    station: Station, uploads: LiveUploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would confirm by the targets of its time, and the new target would never be asked."""
    a, b = station.share, tmp_path / "b"  # b is not there yet
    clip = station.store("1.mp4", content(1000))
    hang = Hang(monkeypatch, lambda _: station.delivery(clip, "a").get("state") == "sent", everyone=True)
    uploads.apply(config(a=a))
    assert hang.caught.wait(30)
    hanging = uploaders()
    uploads.apply(config(a=a, b=b))
    hang.go.set()
    eventually(lambda: not any(thread.is_alive() for thread in hanging))
    assert (station.state(clip), station.delivery(clip, "a")["state"]) != ("confirmed", "confirmed")
    assert station.delivery(clip, "a")["state"] == "sent"
    hang.later.set()
    b.mkdir()
    eventually(lambda: station.state(clip) == "confirmed")
    assert (b / "clips" / station.key(clip)).read_bytes() == content(1000)


@pytest.mark.usefixtures("impatient")
def test_who_hung_does_not_cut_what_its_successor_had_confirmed(
    station: Station, uploads: LiveUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = content(3 * PART + 77)
    clip = station.store("1.mp4", data)
    target = FolderTarget("centre", station.share, first_contact=True)
    here = {"centre": target.place()}
    delivery = deliveries.load(station.catalog.read(), clip, "centre", here["centre"])
    assert delivery is not None
    token = target.begin(delivery.clip)
    station.catalog.write(lambda tx: deliveries.begin(tx, clip, "centre", token, here))
    for offset in (0, PART):
        target.send(delivery.clip, token, Bytes(data), offset, PART)
    partial = station.share / "incoming" / f"{token}.part"
    with partial.open("ab") as file:
        file.write(b"half a part")  # as kill -9 leaves it: to be cut off by whoever asks the position
    hang = Hang(monkeypatch, lambda length: length == PART)
    uploads.apply(config(2, centre=station.share))
    assert hang.caught.wait(30)
    hanging = uploaders()
    uploads.apply(config(1, centre=station.share))
    eventually(lambda: station.state(clip) == "confirmed")
    assert station.delivery(clip)["token"] != token
    hang.release()
    eventually(lambda: not any(thread.is_alive() for thread in hanging))
    assert station.at_centre(clip) == data
    assert not any((station.share / "incoming").iterdir()), "nobody cleared the partial of the first away"


def test_a_stop_during_a_reload_waits_for_nobody_who_hangs_and_nothing_starts_after_it(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_module, "_STOP", NEVER)
    file = tmp_path / "station.yaml"

    def write(number: int) -> None:
        file.with_name("new").write_text(
            f"upload: {{uploaders: {number}}}\n"
            f"targets: {{centre: {{kind: folder, path: {station.share}, local: true}}}}\n"
        )
        file.with_name("new").rename(file)

    write(1)
    station.store("1.mp4", content(1000))
    hang = Hang(monkeypatch, lambda _: True)
    live, uploads = LiveConfig(file), LiveUploads(station.catalog, station.path, locked())
    live.subscribe(uploads.apply)
    live.start()
    uploads.apply(live.current)
    assert hang.caught.wait(30)
    hanging = uploaders()
    write(2)
    eventually(lambda: live.current.upload.uploaders == 2)
    assert not uploads.stop(0.3)
    live.stop()
    uploads.apply(config(3, centre=station.share))
    assert uploaders() <= hanging
    assert any(thread.is_alive() for thread in hanging), "nobody hung"
    hang.release()
    assert uploads.stop(60)


@pytest.mark.usefixtures("impatient")
def test_a_change_that_could_not_be_applied_is_told_and_made_good(
    station: Station, uploads: LiveUploads, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = station.store("1.mp4", content(1000))
    hang = Hang(monkeypatch, lambda _: True)
    uploads.apply(config(1, centre=station.share))
    assert hang.caught.wait(30)
    write = station.catalog.write

    def full(_: object) -> None:
        raise CatalogError("catalog-write", reason="database or disk is full")

    monkeypatch.setattr(station.catalog, "write", full)
    for _ in range(2):
        with pytest.raises(CatalogError):
            uploads.apply(config(2, centre=station.share))
    assert uploads.failing()["centre"].key == "catalog-write"
    monkeypatch.setattr(station.catalog, "write", write)
    uploads.apply(config(1, centre=station.share))  # also when it is taken back
    assert uploads.failing() == {}
    eventually(lambda: station.state(clip) == "confirmed")
    hang.release()


def test_a_share_that_hangs_is_told_and_is_no_business_of_the_watchdog(
    station: Station, uploads: LiveUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = station.store("1.mp4", content(1000))
    hang = Hang(monkeypatch, lambda _: True)
    uploads.apply(config(centre=station.share))
    assert hang.caught.wait(30)
    assert uploads.failing() == {}
    monkeypatch.setattr(scheduler, "SILENCE", 0.01)
    eventually(lambda: "centre" in uploads.failing())
    problem = uploads.failing()["centre"]
    assert (problem.key, list(problem.params)) == ("target-hangs", ["seconds"])
    assert not hasattr(uploads, "beats")
    monkeypatch.setattr(scheduler, "SILENCE", NEVER)
    hang.release()
    eventually(lambda: station.state(clip) == "confirmed")
    assert uploads.failing() == {}


@pytest.mark.usefixtures("impatient")
def test_who_was_left_behind_by_a_reload_is_still_told_to_hang(
    station: Station, uploads: LiveUploads, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = station.store("1.mp4", content(1000))
    hang = Hang(monkeypatch, lambda _: True)
    uploads.apply(config(2, centre=station.share))
    assert hang.caught.wait(30)
    uploads.apply(config(1, centre=station.share))
    eventually(lambda: station.state(clip) == "confirmed")
    monkeypatch.setattr(scheduler, "SILENCE", 0.01)
    eventually(lambda: "centre" in uploads.failing())
    hang.release()
    eventually(lambda: uploads.failing() == {})
