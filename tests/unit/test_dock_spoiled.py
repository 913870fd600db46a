"""A copy that goes bad at the station while its recorder still stands there: nobody is told to take it."""

import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.model import Identity, Reporter, SlotState
from drivers.base import Session
from tests.dock_house import House, house, volume

S = SlotState


class Copies:
    """Goes bad when told; each reading waits until it may end."""

    def __init__(self) -> None:
        self.read: list[str] = []
        self.bad: list[str] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def collect(self, session: Session, docking: object, reporter: Reporter) -> bool:
        recorder = docking.device.fs_uuid  # type: ignore[attr-defined]
        reporter.identified(Identity(recorder, True, "fs"))
        self.read.append(recorder)
        assert self.go_on.wait(30)
        return True

    def lost(self) -> Collection[str]:
        told, self.bad = self.bad, []
        return told

    def spoil(self, station: House, recorder: str) -> None:
        self.bad.append(recorder)
        station.hand.plug(volume("/dev/sdz1", "elsewhere", fs_uuid="0000000"))  # the dock looks up


@contextmanager
def docked(folder: Path, copies: Copies, again: float = 0.05) -> Iterator[House]:
    with house(folder, copies.collect, lost=copies.lost, again=again) as station:
        station.hand.plug(volume("/dev/sda1", "p", fs_uuid="1111111"))
        station.hand.plug(volume("/dev/sdb1", "q", fs_uuid="2222222"))
        station.until("p", S.COLLECTED)
        station.until("q", S.COLLECTED)
        yield station


def test_it_is_read_again_and_is_not_collected_before(tmp_path: Path) -> None:
    copies = Copies()
    with docked(tmp_path, copies) as station:
        copies.go_on.clear()
        copies.spoil(station, "1111111")
        station.when(lambda: copies.read.count("1111111") == 2)
        slot = station.status("p")
        assert slot is not None and slot.state is S.IDENTIFYING
        other = station.status("q")
        assert other is not None and other.state is S.COLLECTED
        copies.go_on.set()
        station.until("p", S.COLLECTED)
        assert copies.read.count("2222222") == 1


def test_what_goes_bad_while_it_is_read_is_read_once_more(tmp_path: Path) -> None:
    copies = Copies()
    copies.go_on.clear()
    with house(tmp_path, copies.collect, lost=copies.lost) as station:
        station.hand.plug(volume("/dev/sda1", "p", fs_uuid="1111111"))
        station.when(lambda: copies.read == ["1111111"])
        copies.spoil(station, "1111111")
        station.when(lambda: not copies.bad)
        copies.go_on.set()
        station.when(lambda: copies.read.count("1111111") == 2)
        station.until("p", S.COLLECTED)


def test_where_each_copy_goes_bad_it_is_said_and_done_without_haste(tmp_path: Path) -> None:
    copies = Copies()
    with docked(tmp_path, copies, again=600) as station:
        copies.spoil(station, "1111111")
        station.when(lambda: copies.read.count("1111111") == 2)
        station.until("p", S.COLLECTED)
        copies.spoil(station, "1111111")
        station.until("p", S.INCOMPLETE, problem="copy-spoiled")
        assert copies.read.count("1111111") == 2
        station.hand.pull(volume("/dev/sda1", "p", fs_uuid="1111111"))
        station.until("p", S.EMPTY, problem="pulled-early")
