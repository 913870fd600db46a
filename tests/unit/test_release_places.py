"""What no central store can prove any more is kept, told, and in nobody's way."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import EraseConfig
from agent.retention.erase import Erasing, Ruling
from agent.retention.explain import explain
from agent.retention.release import Done
from tests.retained_house import DAY, House
from tests.retaining import config


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """With two clips that the centre confirmed 31 days ago."""
    (tmp_path / "house").mkdir()
    made = House(tmp_path / "house", 1)
    monkeypatch.setattr(time, "time", lambda: made.now)
    monkeypatch.setattr("agent.catalog.door.stamp", made.stamp)
    made.start()
    made.random.seed(3)
    made.dock()
    made.dock()
    made.send()
    made.wait(31 * DAY)
    made.watch.now()
    yield made
    made.close()


def change(house: House, sql: str, *values: Any) -> None:
    house.catalog.write(lambda tx: tx.execute(sql, values))


def elsewhere(house: House, clip: int) -> None:
    change(house, "UPDATE deliveries SET place = 'another' WHERE clip = ?", clip)


def renamed(house: House, clip: int) -> None:
    change(house, "UPDATE deliveries SET target = 'former' WHERE clip = ?", clip)


def hinders(house: House, clip: int, targets: tuple[str, ...] = ("centre",)) -> list[tuple[str, Any]]:
    db = house.catalog.read()
    found = explain(db, clip, house.book.keeping(db), house.now, True, targets).hinders
    return [(one.key, dict(one.params)) for one in found]


@pytest.mark.parametrize("gone", [elsewhere, renamed])
def test_what_no_store_can_prove_is_kept_and_told_and_not_asked_for(house: House, gone: Any) -> None:
    first, second = sorted(house.said.clips)
    gone(house, first)
    assert hinders(house, first) == [("kept-no-store", {})]
    assert house.release.step() == Done(0, 1)  # the other one is asked for
    asked = house.catalog.read().execute("SELECT clip FROM deliveries WHERE prove = 1").fetchall()
    assert [row[0] for row in asked] == [second]
    house.send()
    assert house.release.step() == Done(1, 0)
    assert house.station.state(first) == "confirmed"


@pytest.mark.parametrize("gone", [elsewhere, renamed])
def test_when_room_is_short_it_takes_no_other_clips_place(
    house: House, monkeypatch: pytest.MonkeyPatch, gone: Any
) -> None:
    """Those that go early are limited in number, the ones confirmed longest first."""
    monkeypatch.setattr("agent.retention.release._EARLY", 1)
    first, second = sorted(house.said.clips)
    gone(house, first)
    house.config = config(release=True, room=50, classes={"ordinary": {"local": "90 days"}})
    house.disk = (10, 100, 0)
    house.release.step()
    house.send()
    house.release.step()
    assert (house.station.state(first), house.station.state(second)) == ("confirmed", "released")


def test_a_recorder_does_not_wait_for_a_word_that_cannot_come(house: House) -> None:
    first, _ = sorted(house.said.clips)
    elsewhere(house, first)
    for said, why in ((EraseConfig(), "kept-no-store"), (EraseConfig(after="stored"), "")):
        assert ruling(house, said)(first) == why


def ruling(house: House, said: EraseConfig) -> Ruling:
    erasing = Erasing(house.book, lambda: said, lambda: ["centre"], lambda: house.now)
    return erasing.ruling(house.catalog.read(), house.now)


def test_a_store_that_has_just_proved_it_is_not_asked_again_because_another_is_silent(house: House) -> None:
    """One that is away, or that never took the clip, would else have the first one read it for ever."""
    first, second = sorted(house.said.clips)
    for clip in (first, second):
        change(
            house,
            "INSERT INTO deliveries (clip, target, state, token, place, receipt, updated, asked)"
            " SELECT clip, 'second', state, token, place, receipt, updated, asked FROM deliveries"
            " WHERE clip = ?",
            clip,
        )
    change(house, "INSERT INTO meta SELECT 'target:second', value FROM meta WHERE key = 'target:centre'")
    change(house, "UPDATE deliveries SET state = 'rejected' WHERE clip = ? AND target = 'second'", second)
    house.release._targets = lambda: ["centre", "second"]
    house.release.step()
    house.send()  # the first one answers, the second one is away
    assert hinders(house, first, ("centre", "second")) == [("kept-not-asked", {"target": "second"})]
    assert house.release.step() == Done(0, 0)
    asked = house.catalog.read().execute("SELECT clip, target FROM deliveries WHERE prove = 1").fetchall()
    assert [tuple(row) for row in asked] == [(first, "second")]


def test_a_store_that_is_added_later_is_not_waited_for(house: House) -> None:
    """It never gets what was confirmed before: to wait for it would be to keep that here for ever."""
    first, second = sorted(house.said.clips)
    change(house, "INSERT INTO meta SELECT 'target:second', value FROM meta WHERE key = 'target:centre'")
    house.release._targets = lambda: ["centre", "second"]
    house.release.step()
    house.send()
    assert hinders(house, first, ("centre", "second")) == []
    assert house.release.step() == Done(2, 0)
    assert house.station.state(second) == "released"
