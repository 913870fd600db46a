"""What is to be kept for longer is locked for longer at the centre, soon, also what was released."""

import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, door, intake, lengthened, reconfirm
from agent.clock import Stamp
from agent.config.roster import parse
from agent.model import ClipState
from agent.retention import roster
from agent.retention.book import Book, take_over
from agent.retention.locks import lock_what_lengthened
from scripts.benchmarks.million import build
from tests.retaining import config
from tests.unit.test_retention_commands import DAY, House


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(time.time(), "boot", True))
    made = House(tmp_path)
    yield made
    made.station.close()


def confirmed(house: House) -> tuple[int, int]:
    """One that is here and one that is released; both are locked for 200 days, and none is asked for."""
    here, gone = house.clip("1.mp4"), house.clip("2.mp4")
    house.say("label", clips=f"{here},{gone}", case="LN-1", category="traffic", officer="P1")
    house.both("case-close", case="LN-1")
    house.station.run()
    house.catalog.write(
        lambda tx: tx.execute(
            "UPDATE deliveries SET receipt = json_set(receipt, '$.lock.until', ?)", (time.time() + 200 * DAY,)
        )
    )
    house.catalog.write(lambda tx: door.change(tx, gone, ClipState.CONFIRMED, ClipState.RELEASED))
    lock(house)
    assert asked(house) == []
    return here, gone


def lock(house: House, **more: Any) -> int:
    given = {"locking": {"centre"}, "now": time.time(), **more}
    return lock_what_lengthened(house.catalog, house.book.keeping, **given)


def asked(house: House) -> list[int]:
    rows = house.catalog.read().execute("SELECT clip FROM deliveries WHERE asked = 0 ORDER BY clip")
    return [row[0] for row in rows.fetchall()]


def reopened(house: House) -> None:
    house.say("case-open", case="LN-1")


def longer(house: House) -> None:
    house.configure(classes={"ordinary": {"centre": "400 days"}})


def longer_and_shorter(house: House) -> None:
    house.configure(
        classes={"ordinary": {"centre": "100 days"}, "long": {"centre": "400 days"}},
        rules={"traffic": {"gives": "long", "category": "traffic"}},
    )


def other_unit(house: House) -> None:
    house.configure(
        classes={"long": {"centre": "400 days"}}, rules={"unit": {"gives": "long", "unit": "tactical"}}
    )
    lock(house)
    text = "recorder,officer,unit\n8888888,P1,tactical\n"
    roster.take_over(house.catalog, parse(text.encode(), Path("roster.csv")))


def test_a_store_whose_locks_are_switched_on_later_is_asked_for_all_that_it_has(house: House) -> None:
    clips = confirmed(house)
    longer(house)
    assert lock(house, locking=set()) == 0, "without a lock there is none to grow"
    for locking, asks in ((set(), []), ({"centre"}, list(clips)), ({"centre"}, [])):
        house.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = 5"))
        house.catalog.write(lambda tx, locking=locking: lengthened.follow(tx, locking))  # type: ignore[misc]
        lock(house, locking=locking)
        assert asked(house) == asks


@pytest.mark.parametrize("lengthen", [reopened, longer, longer_and_shorter, other_unit])
def test_whatever_lengthens_has_the_centre_asked_for_what_is_locked_too_short(
    house: House, lengthen: Callable[[House], None]
) -> None:
    clips = confirmed(house)
    lengthen(house)
    assert lock(house) == 2
    assert asked(house) == [*clips]
    assert lock(house) == 0


def test_a_clip_that_was_released_and_is_marked_by_its_officer_now_is_asked_for(house: House) -> None:
    here, gone = confirmed(house)
    house.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = NULL WHERE clip = ?", (gone,)))
    for clip in (here, gone):
        house.catalog.write(lambda tx, clip=clip: intake.mark_important(tx, clip))  # type: ignore[misc]
    assert asked(house) == [here, gone]


def test_what_is_locked_long_enough_is_left_alone(house: House) -> None:
    confirmed(house)
    house.configure(classes={"ordinary": {"centre": "199 days"}})
    house.catalog.write(
        lambda tx: tx.execute(
            "UPDATE deliveries SET receipt = json_set(receipt, '$.lock.hold', json('true'))"
        )
    )
    assert lock(house) == 0
    assert asked(house) == []
    assert lengthened.standing(house.catalog.read()) is None


def test_a_store_that_locks_nothing_is_not_asked(house: House) -> None:
    confirmed(house)
    longer(house)
    assert lock(house, locking={"other"}) == 0
    longer_and_shorter(house)
    assert lock(house, locking=()) == 0
    assert asked(house) == []


def test_without_a_trusted_time_it_waits(house: House) -> None:
    clips = confirmed(house)
    longer(house)
    assert lock(house, now=None) == 0
    assert lock(house, stopping=lambda: True) == 0
    assert lock(house) == len(clips)


def test_it_goes_on_where_a_crash_left_it_and_from_the_start_when_more_is_lengthened(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.retention.locks._GROUP", 1)
    here, gone = confirmed(house)
    longer(house)
    stops = iter([False, True])
    assert lock(house, stopping=lambda: next(stops)) == 1
    was = lengthened.standing(house.catalog.read())
    assert was
    assert was.after == here
    assert asked(house) == [here]
    house.say("hold-set", scope="case", value="LN-1")
    house.catalog.write(lambda tx: lengthened.looked(tx, was, gone))  # who looked by the former rules
    assert lengthened.standing(house.catalog.read()) != was
    lock(house)
    assert asked(house) == [here, gone]


def test_no_commit_asks_for_more_than_a_group_of_clips(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A docking that waits for its own commit waits for no more than that."""
    build(tmp_path / "catalog.db", 1_200)
    groups, soon = list[int](), reconfirm.soon

    def counted(tx: Any, clips: list[int]) -> int:
        groups.append(len(clips))
        return soon(tx, clips)

    monkeypatch.setattr(reconfirm, "soon", counted)
    with closing(Catalog.open(tmp_path / "catalog.db")) as catalog:
        take_over(catalog, config(classes={"ordinary": {"centre": "permanent"}}))
        assert lock_what_lengthened(catalog, Book().keeping, {"centre"}, time.time()) == 1_200
    assert groups == [500, 500, 200, 0]
