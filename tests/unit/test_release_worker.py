"""Whoever finds no room wakes the release of local copies, and nobody can keep it busy."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.retention import worker
from agent.retention.forecast import Forecast
from agent.retention.worker import Worker
from tests.retained_house import DAY, House

PATIENCE = 20.0
FORECAST = Forecast(1.0, [0.0] * 91, [0.0] * 91)


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """With one clip that the centre has proved, and whose grace is over."""
    (tmp_path / "house").mkdir()
    house = House(tmp_path / "house", 1)
    monkeypatch.setattr(time, "time", lambda: house.now)
    monkeypatch.setattr("agent.catalog.door.stamp", house.stamp)
    house.start()
    house.dock()
    house.send()
    house.wait(2 * DAY)
    house.watch.now()
    house.disk = (5, 100, 0)
    assert house.release.step().asked == 1
    house.send()
    yield house
    house.close()


def test_a_refusal_lets_go_at_once_what_may_go(house: House) -> None:
    looked = threading.Semaphore(0)

    def foresee() -> Forecast:
        looked.release()
        return FORECAST

    working = Worker(house.release, foresee=foresee)
    assert working.forecast is None
    working.start()
    assert not looked.acquire(timeout=0.2)  # its next look is minutes away
    working.wake()
    assert looked.acquire(timeout=PATIENCE)
    assert working.stop(PATIENCE)
    assert house.station.state(min(house.said.clips)) == "released"
    assert working.making_room
    assert working.forecast == FORECAST
    assert working.step().released == 0
    assert not working.making_room


def test_however_often_it_is_woken_it_rests_in_between(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "_REST", 0.5)
    looks: list[float] = []
    working = Worker(house.release, lambda _: looks.append(time.monotonic()))
    working.start()
    end = time.monotonic() + PATIENCE
    while len(looks) < 3:
        working.wake()
        assert time.monotonic() < end
        time.sleep(0.01)
    assert working.stop(PATIENCE)
    assert looks[2] - looks[0] >= 1.0


def test_what_cannot_be_foreseen_is_told_and_stops_nothing(house: House) -> None:
    def fails() -> Forecast:
        raise sqlite3.OperationalError("disk I/O error")

    working = Worker(house.release, foresee=fails)
    working.step()
    assert house.station.state(min(house.said.clips)) == "released"
    assert working.problem is not None
    assert "disk I/O error" in working.problem.params["error"]
