"""A recorder is called received when all of it is listed and committed, and not a moment before."""

import threading
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import queries
from agent.dock.board import Board
from agent.dock.docking import Docking
from agent.dock.reporter import Tally
from agent.model import Doing, Identity, Reporter, SlotState
from drivers.base import Session
from tests.dock_house import PATIENCE, House, disk, house, volume
from tests.dockside import Dockside, Heard, recorder

S = SlotState


@dataclass
class Work:
    """Lists at once; copies when it may."""

    go_on: threading.Event = field(default_factory=threading.Event)
    every: bool = True

    def __call__(self, session: Session, docking: Docking, reporter: Reporter) -> bool:
        reporter.identified(Identity("8888888", True, "fs", "000123"))
        reporter.docked(7)
        reporter.seen({5, 4}, self.every)
        reporter.listed(2, 200)
        while not self.go_on.wait(0.01):
            reporter.check()
        reporter.finished(2)
        return self.every


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def station(tmp_path: Path, work: Work) -> Iterator[House]:
    with house(tmp_path, work) as built:
        yield built


def received(station: House) -> float | None:
    shown = station.status("p")
    return shown.received if shown else None


def test_a_recorder_is_received_while_it_is_still_copied(station: House, work: Work) -> None:
    station.hand.plug(volume("/dev/sda1"))
    at = station.when(lambda: received(station))
    shown = station.until("p", S.COLLECTING)
    assert (shown.docking, shown.clips, shown.collected) == (7, (4, 5), None)
    work.go_on.set()
    shown = station.until("p", S.COLLECTED)
    assert shown.received == at
    assert shown.collected is not None and shown.collected >= at


def test_who_may_still_show_another_part_is_not_received(tmp_path: Path, work: Work) -> None:
    parts = {"sdb"}
    with house(tmp_path, work, awaited=lambda device: parts, patience=PATIENCE) as station:
        station.hand.plug(volume("/dev/sda1"))
        station.until("p", S.COLLECTING)
        threading.Event().wait(0.7)  # longer than between two looks
        assert received(station) is None
        parts.clear()
        assert station.when(lambda: received(station))


def test_the_time_for_another_part_counts(tmp_path: Path, work: Work) -> None:
    with house(tmp_path, work, grace=PATIENCE) as station:
        station.hand.plug(volume("/dev/sda1"))
        station.until("p", S.COLLECTING)
        threading.Event().wait(0.7)
        assert received(station) is None


def test_received_is_taken_back_when_another_part_comes_until_that_is_listed_too(
    station: House, work: Work
) -> None:
    station.hand.plug(volume("/dev/sda1"))
    station.when(lambda: received(station))
    station.hand.plug(volume("/dev/sdb1", lun=1))
    station.when(lambda: received(station) is None)
    work.go_on.set()
    shown = station.until("p", S.COLLECTED)
    assert shown.received is not None
    assert shown.clips == (4, 5, 4, 5)


def test_a_volume_that_could_not_be_listed_whole_is_never_received(station: House, work: Work) -> None:
    work.every = False
    work.go_on.set()
    station.hand.plug(volume("/dev/sda1"))
    assert station.until("p", S.INCOMPLETE).received is None


def test_received_is_taken_back_when_another_look_cannot_list_it_whole() -> None:
    """What is still recording is looked at again, and may have something new by then."""
    board = Board()
    tally = Tally(board, "p")

    def look(every: bool) -> float | None:
        tally.start("/dev/sda1")
        tally.seen("/dev/sda1", {4, 5}, every)
        return board.snapshot()[0].received

    assert look(True) is not None
    assert look(False) is None
    assert look(True) is not None


def test_a_part_that_cannot_be_read_keeps_the_recorder_from_being_received(
    station: House, work: Work
) -> None:
    work.go_on.set()
    station.hand.plug(disk("/dev/sdb"))
    station.hand.plug(volume("/dev/sda1"))
    assert station.until("p", S.INCOMPLETE).received is None


def test_an_early_pull_tells_who_it_was_and_what_is_missing(station: House) -> None:
    device = volume("/dev/sda1")
    station.hand.plug(device)
    station.until("p", S.COLLECTING)
    station.hand.pull(device)
    pulled = station.until("p", S.EMPTY, problem="pulled-early").pulled
    assert pulled is not None
    assert (pulled.recorder, pulled.officer, pulled.files) == ("8888888", "000123", 2)


def test_a_pull_before_the_files_were_counted_says_that_nobody_knows(tmp_path: Path) -> None:
    def slow(session: Session, docking: Docking, reporter: Reporter) -> bool:
        while True:
            reporter.check()

    with house(tmp_path, slow) as station:
        device = volume("/dev/sda1")
        station.hand.plug(device)
        station.until("p", S.IDENTIFYING)
        station.hand.pull(device)
        shown = station.until("p", S.EMPTY, problem="pulled-early")
        assert shown.pulled is not None and shown.pulled.files is None
        assert shown.problems[0].params["kind"] == "unknown"


class Looks(Heard):
    """Looks into the catalog at the moment of `seen`."""

    def __init__(self, side: Dockside) -> None:
        super().__init__()
        self.side, self.committed = side, dict[int, str]()

    def seen(self, clips: Collection[int], every: bool) -> None:
        super().seen(clips, every)
        rows = {row["id"]: row["state"] for row in queries.clips(self.side.catalog.read())}
        self.committed = {clip: rows[clip] for clip in clips}


def test_what_is_called_seen_is_committed(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station")
    card = recorder(tmp_path / "card", {"a.mp4": 5000, "b.mp4": 3 << 20})
    looks: Any = Looks(side)
    complete, heard = side.dock(card, looks)
    assert complete and looks.seen_whole
    assert sorted(looks.committed.values()) == ["seen", "seen"]
    assert heard.done_so_far == [Doing.QUEUED, Doing.COPYING, Doing.VERIFYING]
    side.close()


def test_a_folder_that_cannot_be_read_keeps_a_recorder_from_being_received(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station")
    deep = "/".join(["d"] * 70)
    card = recorder(tmp_path / "card", {"a.mp4": 5000, f"{deep}/b.mp4": 5000})
    complete, heard = side.dock(card)
    assert not complete and not heard.seen_whole
    side.close()


def test_a_recorder_tells_what_it_can_of_its_condition(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station")
    card = recorder(tmp_path / "card", {"a.mp4": 5000})
    (card / ".recorder.yaml").write_text("label: '8888888'\nbattery: 93\nclock_off: -2.5\n")
    _, heard = side.dock(card)
    told = heard.told_condition
    assert told is not None
    assert (told.battery, told.clock_off, told.free, told.total) == (93, -2.5, None, None)
    side.close()
