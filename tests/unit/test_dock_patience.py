"""What is slow is not stuck, and what goes on for ever is not done in haste."""

import itertools
import threading
import time
from pathlib import Path

import pytest

from agent.dock.worker import longer
from agent.model import Identity, Port, Reporter, SlotState
from drivers.base import Session
from tests.dock_house import PATIENCE, House, Settings, house, volume

S = SlotState


def collect(session: Session, docking: object, reporter: Reporter) -> bool:
    reporter.identified(Identity("8888888", True, "fs"))
    return True


def test_a_listing_that_goes_on_is_no_standstill_however_long_it_takes(tmp_path: Path) -> None:
    now = 0.0
    stations: list[House] = []

    def list_slowly(port: Port) -> None:
        nonlocal now
        for _ in range(10):
            now += 50
            port.beat()
            assert stations[0].dock.beats()["slot p"] == 0
            stations[0].hand.plug(volume("/dev/sdb1", "other"))  # makes the dock look at its workers

    settings = Settings(stuck_after=60)
    with house(tmp_path, collect, settings=settings, opening=list_slowly, monotonic=lambda: now) as station:
        stations.append(station)
        station.hand.plug(volume("/dev/sda1"))
        station.when(lambda: now >= 500)
        now += 60  # the grace for further volumes
        station.when(lambda: "/dev/sda1" in station.shelf.returned)
        assert station.shelf.disconnected == []


def test_a_pull_ends_a_listing(tmp_path: Path) -> None:
    listing = threading.Event()

    def list_for_ever(port: Port) -> None:
        while True:
            listing.set()
            port.beat()

    with house(tmp_path, collect, opening=list_for_ever) as station:
        device = volume("/dev/sda1")
        station.hand.plug(device)
        assert listing.wait(PATIENCE)
        station.hand.pull(device)
        station.until("p", S.EMPTY, problem="pulled-early")


def test_a_mount_that_does_not_end_holds_up_no_recorder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.dock.dock._SWEEP", 0)
    sweeping, let_go = threading.Semaphore(0), threading.Event()

    def sweep() -> None:
        sweeping.release()
        let_go.wait(PATIENCE)

    with house(tmp_path, collect) as station:
        station.shelf.sweep = sweep
        for slot in "12345":
            station.hand.plug(volume(f"/dev/x{slot}", slot))
            station.until(slot, S.COLLECTED)
        assert sweeping.acquire(timeout=PATIENCE)
        assert not sweeping.acquire(blocking=False), "one at a time"
        let_go.set()


def test_a_file_that_always_changes_is_read_ever_more_rarely(tmp_path: Path) -> None:
    began: list[float] = []

    def growing(session: Session, docking: object, reporter: Reporter) -> bool:
        began.append(time.monotonic())
        reporter.problem("still-recording", path="a")
        return False

    with house(tmp_path, growing, again=0.01) as station:
        station.hand.plug(volume("/dev/sda1"))
        station.when(lambda: len(began) >= 6)
    gaps = [later - earlier for earlier, later in itertools.pairwise(began[:6])]
    assert all(gap >= wait for gap, wait in zip(gaps, (0.01, 0.02, 0.04, 0.08, 0.16), strict=True)), gaps


def test_it_is_read_every_ten_minutes_at_least() -> None:
    waits = [30.0]
    for _ in range(6):
        waits.append(longer(waits[-1]))
    assert waits == [30, 60, 120, 240, 480, 600, 600]
