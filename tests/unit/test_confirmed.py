"""What the screens call confirmed is what the catalog says at that moment, and costs little to ask."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, door, intake, released
from agent.model import ClipState, Identity, SlotState, SlotStatus, SourceClip
from agent.status import confirmed as module
from agent.status.confirmed import Confirmed

S = ClipState
TO_CONFIRMED = (S.COPYING, S.STORED, S.UPLOADING, S.UPLOADED, S.CONFIRMED)


class House:
    def __init__(self, catalog: Catalog) -> None:
        self.catalog, self.now = catalog, 0.0
        self.confirmed = Confirmed(catalog.reading, lambda: self.now)

    def clips(self, count: int, recorder: str = "8888888") -> tuple[int, ...]:
        identity = Identity(recorder, True, "fs")
        sources = [SourceClip(path=f"{n}.mp4", size=10, mtime_ns=n) for n in range(count)]

        def work(tx: sqlite3.Connection) -> list[int]:
            return intake.see(tx, intake.begin_docking(tx, "1", identity), identity, sources)

        return tuple(self.catalog.write(work))

    def lead(self, clip: int, *states: ClipState) -> None:
        def work(tx: sqlite3.Connection) -> None:
            for state in states:
                (now,) = tx.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()
                door.change(tx, clip, S(now), state)

        self.catalog.write(work)

    def says(self, *slots: SlotStatus) -> set[str]:
        self.now += 1.0
        return set(self.confirmed(slots))


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    catalog = Catalog.open(tmp_path / "catalog.db")
    yield House(catalog)
    catalog.close()


def collected(clips: tuple[int, ...], slot: str = "1", **changes: Any) -> SlotStatus:
    return SlotStatus(slot, SlotState.COLLECTED, clips=clips, collected=1.0, **changes)


def test_a_docking_is_confirmed_with_its_last_clip_and_not_before(house: House) -> None:
    clips = house.clips(3)
    slot = collected(clips)
    for clip in (clips[2], clips[0]):
        house.lead(clip, *TO_CONFIRMED)
        assert house.says(slot) == set()
    house.lead(clips[1], *TO_CONFIRMED)
    (at,) = house.catalog.read().execute("SELECT max(at) FROM events WHERE kind = 'confirmed'").fetchone()
    house.now += 1.0
    assert house.confirmed([slot]) == {"1": at}


def test_what_the_centre_lost_is_taken_back_and_comes_again(house: House) -> None:
    first, second = house.clips(3), house.clips(2, "7777777")
    slots = collected(first), collected(second, "2")
    for clip in (*first, *second):
        house.lead(clip, *TO_CONFIRMED)
    assert house.says(*slots) == {"1", "2"}
    house.lead(first[1], S.STORED)
    assert house.says(*slots) == {"2"}
    house.lead(first[1], S.UPLOADING, S.UPLOADED, S.CONFIRMED)
    assert house.says(*slots) == {"1", "2"}


def test_what_the_centre_lost_when_the_station_had_let_it_go_is_not_called_confirmed(house: House) -> None:
    clips = house.clips(2)
    slot = collected(clips)
    for clip in clips:
        house.lead(clip, *TO_CONFIRMED, S.RELEASED)
    columns = "clip, target, state, token, place, updated"
    row = f"INSERT INTO deliveries ({columns}) VALUES (?, 't', 'confirmed', '', 'p', 0)"
    house.catalog.write(lambda tx: tx.execute(row, (clips[0],)))
    assert house.says(slot) == {"1"}
    house.catalog.write(lambda tx: released.missed(tx, clips[0], "t", "p"))
    assert house.says(slot) == set()
    house.catalog.write(lambda tx: released.found(tx, clips[0], "t", "p"))
    assert house.says(slot) == {"1"}


def test_what_was_confirmed_and_lost_before_all_were_confirmed_counts_as_lost(house: House) -> None:
    clips = house.clips(2)
    slot = collected(clips)
    house.lead(clips[0], *TO_CONFIRMED)
    assert house.says(slot) == set()
    house.lead(clips[0], S.STORED)
    house.lead(clips[1], *TO_CONFIRMED)
    assert house.says(slot) == set()


def test_released_is_confirmed_and_merged_is_what_it_was_merged_into(house: House) -> None:
    clips = house.clips(3)
    house.lead(clips[0], *TO_CONFIRMED, S.RELEASED)
    house.lead(clips[1], S.COPYING)
    house.lead(clips[2], *TO_CONFIRMED[:-1])
    house.catalog.write(lambda tx: tx.execute("UPDATE clips SET merged_into = ? WHERE id = ?", clips[:0:-1]))
    house.lead(clips[1], S.MERGED)
    slot = collected(clips)
    assert house.says(slot) == set()
    house.lead(clips[2], S.CONFIRMED)
    assert house.says(slot) == {"1"}


@pytest.mark.parametrize("state", [state for state in SlotState if state != SlotState.COLLECTED])
def test_a_slot_that_is_not_collected_is_never_confirmed(house: House, state: SlotState) -> None:
    clips = house.clips(1)
    house.lead(clips[0], *TO_CONFIRMED)
    assert house.says(replace(collected(clips), state=state)) == set()


def test_nothing_is_not_confirmed(house: House) -> None:
    assert house.says(collected(())) == set()


def test_the_next_recorder_in_a_slot_begins_anew(house: House) -> None:
    first, second = house.clips(1), house.clips(1, "7777777")
    house.lead(first[0], *TO_CONFIRMED)
    assert house.says(collected(first)) == {"1"}
    # Also between two looks.
    assert house.confirmed([collected(second)]) == {}
    assert house.says(collected(second)) == set()


def test_a_card_with_many_clips_is_looked_through_in_parts(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST", 2)
    clips = house.clips(5)
    for clip in clips:
        house.lead(clip, *TO_CONFIRMED)
    slot = collected(clips)
    assert [house.says(slot) for _ in range(3)] == [set(), set(), {"1"}]


def test_after_more_events_than_are_worth_reading_all_is_looked_at_anew(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FAR", 3)
    clips = house.clips(2)
    for clip in clips:
        house.lead(clip, *TO_CONFIRMED)
    slot = collected(clips)
    assert house.says(slot) == {"1"}
    house.lead(clips[0], S.STORED, S.UPLOADING, S.UPLOADED, S.CONFIRMED, S.STORED)
    assert house.says(slot) == set()


def test_screens_that_ask_at_once_cost_one_look(house: House) -> None:
    slot, asked = collected(house.clips(1)), list[str]()
    house.catalog.read().set_trace_callback(asked.append)
    house.says(slot)
    cost = len(asked)
    for _ in range(50):
        house.confirmed([slot])
    house.catalog.read().set_trace_callback(None)
    assert cost > 0 and len(asked) == cost


def cost_of(house: House, look: Callable[[], object]) -> int:
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    db = house.catalog.read()
    db.set_progress_handler(count, 1)
    look()
    db.set_progress_handler(None, 1)
    return steps


def test_a_look_costs_the_same_however_much_is_confirmed_already(house: House) -> None:
    few, many = house.clips(2), house.clips(600, "7777777")
    for clip in (*few, *many[:-1]):
        house.lead(clip, *TO_CONFIRMED)
    slots = [collected(many)]
    assert house.says(*slots) == set()
    assert cost_of(house, lambda: house.says(*slots)) < 300
