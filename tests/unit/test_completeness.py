"""What is missing of a recorder's recordings is found, and nothing honest is accused."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.model import Identity
from tests.recording import RECORDER, SEGMENT, Recorder, Station

MINUTES = timedelta(minutes=1)


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "one")
    yield made
    made.close()


@pytest.fixture
def recorder(station: Station) -> Recorder:
    """Known at the station: docked twice with all that it had."""
    made = Recorder()
    made.several(3)
    made.record(35 * MINUTES)
    made.several(2, "photo")
    assert station.dock(made) == []
    made.record(35 * MINUTES)
    made.several(2, "photo")
    made.take()
    assert station.dock(made) == []
    return made


def only(station: Station) -> dict[str, Any]:
    [found] = station.open()
    return dict(found["facts"])


# Every way of meddling, and what is found.


def deleted_between_dockings(recorder: Recorder) -> None:
    recorder.take()
    recorder.erase(recorder.take(), recorder.take())
    recorder.take()


def deleted_at_once_behind_the_last_one(recorder: Recorder) -> None:
    recorder.erase(recorder.take())
    recorder.several(2)


def deleted_where_a_new_round_begins(recorder: Recorder) -> None:
    recorder.erase(recorder.take())
    recorder.take()


def photo_deleted(recorder: Recorder) -> None:
    recorder.take()
    recorder.erase(recorder.take(kind="photo"))
    recorder.take()


def segment_cut_out_and_the_rest_renumbered(recorder: Recorder) -> None:
    recorder.record(35 * MINUTES)
    recorder.several(1)
    first, *_ = recorder.record(15 * MINUTES)
    recorder.erase(*recorder.files[-1:])
    recorder.last -= 1
    recorder.now = first.at + 2 * SEGMENT + timedelta(seconds=2)
    recorder.record(25 * MINUTES)


def counter_reset(recorder: Recorder) -> None:
    recorder.last = 0
    recorder.several(3)


def counter_set_back_a_little(recorder: Recorder) -> None:
    recorder.last -= 2
    recorder.several(4)


def shared_counter_set_back_a_little(recorder: Recorder) -> None:
    recorder.last -= 3
    for _ in range(3):
        recorder.take()
        recorder.take(kind="photo")


def card_swapped(recorder: Recorder) -> None:
    recorder.card = "CARD-2"
    recorder.several(2)


def card_emptied(recorder: Recorder) -> None:
    recorder.erase(*recorder.files)
    recorder.several(2)


def one_file_erased(recorder: Recorder) -> None:
    recorder.erase(recorder.files[2])


@pytest.mark.parametrize(
    ("meddle", "rules"),
    [
        (deleted_between_dockings, ["sequence-gap"]),
        (deleted_at_once_behind_the_last_one, ["sequence-gap"]),
        (photo_deleted, ["sequence-gap"]),
        (segment_cut_out_and_the_rest_renumbered, ["time-gap"]),
        (counter_reset, ["counter-back"]),
        (counter_set_back_a_little, ["counter-back"]),
        (shared_counter_set_back_a_little, ["counter-back"]),
        (card_swapped, ["card-changed"]),
        (card_emptied, ["card-emptied"]),
        (one_file_erased, ["card-emptied"]),
    ],
)
def test_each_way_of_meddling_is_found_once(
    station: Station, recorder: Recorder, meddle: Callable[[Recorder], None], rules: list[str]
) -> None:
    meddle(recorder)
    assert station.dock(recorder) == rules
    recorder.several(2)
    assert station.dock(recorder) == []
    assert [row["rule"] for row in station.open()] == rules


def test_a_gap_tells_the_numbers_and_what_lies_on_both_sides(station: Station, recorder: Recorder) -> None:
    before = recorder.take()
    lost = [recorder.take() for _ in range(3)]
    recorder.erase(*lost)
    behind = recorder.take()
    station.dock(recorder)
    facts = only(station)
    assert facts["numbers"] == [[lost[0].sequence, lost[-1].sequence]]
    assert facts["count"] == 3
    assert facts["after"]["recorded_at"] == before.at.isoformat()
    assert facts["before"]["recorded_at"] == behind.at.isoformat()
    [event] = station.events("finding")
    assert event["numbers"] == facts["numbers"]
    assert event["recorder"] == RECORDER


@pytest.mark.parametrize("restarts_at", [0, 1])
def test_a_gap_over_the_end_of_a_round_is_told_in_both(tmp_path: Path, restarts_at: int) -> None:
    station, recorder = Station(tmp_path), Recorder(last=9990, restarts_at=restarts_at)
    recorder.several(5)
    station.dock(recorder)
    files = recorder.several(8)
    recorder.erase(*[one for one in files if one.sequence in (9998, 9999, 0, 1)])
    assert station.dock(recorder) == ["sequence-gap"]
    assert only(station)["numbers"] == [[9998, 9999], [1, 1]]
    station.close()


def test_files_that_were_never_collected_and_are_gone_are_told_as_vanished(
    station: Station, recorder: Recorder
) -> None:
    first, second, third = recorder.several(3)
    assert station.dock(recorder, collect=1) == []
    recorder.erase(first, third)
    assert station.dock(recorder) == ["vanished", "card-emptied"]
    vanished, emptied = (row["facts"] for row in station.open())
    assert [clip["sequence"] for clip in vanished["clips"]] == [third.sequence]
    assert [clip["sequence"] for clip in emptied["clips"]] == [first.sequence]
    recorder.files.append(third)  # on another reading it is there after all
    assert station.dock(recorder) == []
    assert [row["rule"] for row in station.open()] == ["card-emptied"]
    assert second in recorder.files


def test_what_comes_later_from_another_card_ends_the_finding(station: Station, recorder: Recorder) -> None:
    recorder.several(2)
    recorder.card = "CARD-2"
    recorder.several(3)
    recorder.card = "CARD-1"
    recorder.several(2)
    assert station.dock(recorder) == ["sequence-gap"]
    recorder.card = "CARD-2"
    assert station.dock(recorder) == ["card-changed"]
    assert [(row["rule"], row["state"]) for row in station.findings()] == [
        ("sequence-gap", "here"),
        ("card-changed", "open"),
    ]


# Nothing honest is accused.


def test_what_came_before_the_first_docking_is_not_judged(station: Station) -> None:
    recorder = Recorder(last=500)
    files = recorder.several(9)
    recorder.erase(files[3], files[4])
    assert station.dock(recorder) == []
    assert station.dock(recorder) == []
    recorder.several(3)
    assert station.dock(recorder) == []


def test_a_stop_is_no_gap_whatever_its_length(station: Station, recorder: Recorder) -> None:
    for minutes in range(1, 30):
        recorder.record(minutes * MINUTES + timedelta(seconds=20))
        recorder.now += timedelta(minutes=minutes * 3)
    assert station.dock(recorder) == []


def test_many_recordings_of_one_length_are_no_segments(station: Station, recorder: Recorder) -> None:
    for _ in range(10):
        recorder.take(timedelta(seconds=60))
    assert station.dock(recorder) == []


@pytest.mark.parametrize("top", [999, 9999])
@pytest.mark.parametrize("restarts_at", [0, 1])
@pytest.mark.parametrize("steps", range(4))
def test_a_new_round_of_the_counter_is_no_finding(
    tmp_path: Path, top: int, restarts_at: int, steps: int
) -> None:
    station = Station(tmp_path)
    recorder = Recorder(last=top - 4 - steps, top=top, restarts_at=restarts_at)
    for _ in range(5):
        recorder.several(3)
        assert station.dock(recorder) == []
    station.close()


def test_a_visit_longer_than_what_is_near_may_begin_a_new_round(tmp_path: Path) -> None:
    station, recorder = Station(tmp_path), Recorder(last=950, top=999)
    recorder.several(3)
    assert station.dock(recorder) == []
    recorder.several(250)
    assert station.dock(recorder) == []
    recorder.several(10)
    assert station.dock(recorder) == []
    station.close()


def test_after_a_reset_each_kind_goes_on_without_a_word(station: Station, recorder: Recorder) -> None:
    recorder.last -= 3
    recorder.several(2)
    assert station.dock(recorder) == ["counter-back"]
    for _ in range(3):
        recorder.several(2, "photo")
        recorder.several(2)
        assert station.dock(recorder) == []


def test_a_clock_that_is_reset_or_set_right_is_no_finding(station: Station, recorder: Recorder) -> None:
    right = recorder.now
    recorder.several(2)
    recorder.now = right.replace(year=2015)
    recorder.several(4)
    assert station.dock(recorder) == []
    recorder.several(2)
    recorder.now = right + timedelta(days=3)
    recorder.several(2)
    assert station.dock(recorder) == []


def test_kinds_that_share_a_counter_and_kinds_that_do_not_are_both_fine(tmp_path: Path) -> None:
    shared, apart = Station(tmp_path / "shared"), Station(tmp_path / "apart")
    one, two, photos = Recorder(last=9900), Recorder(last=300), Recorder(last=20)
    for docking in range(12):
        for number in range(8):
            one.take(kind="photo" if (number + docking) % 5 == 0 else "video")
            one.files.append(one.files[-1].__class__(one.last, one.now, MINUTES, "sidecar"))
            two.take()
            if number % 3 == 0 and docking > 1:
                photos.now = two.now
                two.files.append(photos.take(kind="photo"))
        one.several(docking, "photo" if docking % 4 == 0 else "video")
        assert shared.dock(one) == []
        assert apart.dock(two) == []
    shared.close()
    apart.close()


def test_a_card_that_was_read_in_part_accuses_nobody(station: Station, recorder: Recorder) -> None:
    """Its folder could not be read: what is in it is seen when it can."""
    hidden = recorder.several(2)
    recorder.several(2)
    recorder.erase(*hidden)
    assert station.dock(recorder, listed=False) == []
    recorder.files.extend(hidden)
    assert station.dock(recorder) == []


def test_a_recorder_that_is_pulled_again_and_again_is_accused_of_nothing(
    station: Station, recorder: Recorder
) -> None:
    for collected in (0, 1, 2, 3, 10):
        recorder.several(2)
        assert station.dock(recorder, collect=collected) == []


def test_a_recording_that_is_marked_afterwards_is_neither_gone_nor_new(
    station: Station, recorder: Recorder
) -> None:
    one, two, three = recorder.several(3)
    station.dock(recorder, collect=1)
    recorder.mark(one)
    recorder.mark(three)
    assert station.dock(recorder) == []
    recorder.mark(two)
    recorder.several(2)
    assert station.dock(recorder) == []


def test_cards_that_are_used_in_turn_are_told_once(station: Station, recorder: Recorder) -> None:
    told = []
    for number in range(6):
        recorder.card = f"CARD-{number % 2 + 1}"
        recorder.several(3)
        told += station.dock(recorder)
    assert told == ["card-changed"]


def test_two_parts_of_one_recorder_are_no_changed_card(tmp_path: Path) -> None:
    """Inside and on a card, numbered together; they are docked one right after the other."""
    station, recorder = Station(tmp_path), Recorder()
    for _ in range(3):
        for card in ("INSIDE", "CARD", "INSIDE"):
            recorder.card = card
            recorder.several(2)
        for card in ("INSIDE", "CARD"):
            recorder.card = card
            assert station.dock(recorder, judge=False) == []
        assert station.look() == []
    station.close()


def test_a_part_that_was_slow_to_appear_is_no_changed_card(station: Station, recorder: Recorder) -> None:
    recorder.several(2)
    assert station.dock(recorder) == []
    recorder.card = "INSIDE"
    recorder.several(2)
    assert station.dock(recorder, pause=3) == []


def test_unknown_recorders_and_files_without_numbers_are_not_counted(station: Station) -> None:
    recorder = Recorder()
    unknown = Identity("unknown-CARD-1", False, "CARD-1")
    for _ in range(3):
        recorder.erase(recorder.several(3)[1])
        assert station.dock(recorder, identity=unknown) == []


def test_another_recorders_files_on_the_card_are_not_counted(station: Station, recorder: Recorder) -> None:
    other = Identity("7777777", True, "CARD-9", conflict=True)
    for _ in range(3):
        recorder.several(2)
        recorder.last += 50
        assert station.dock(recorder, identity=other) == []


def test_a_docking_is_judged_when_the_recorder_rests(station: Station, recorder: Recorder) -> None:
    recorder.several(2)
    station.dock(recorder, judge=False)
    [(ended,)] = station.catalog.read().execute("SELECT max(ended) FROM dockings").fetchall()
    station.judge.step(now=ended + 1)
    assert station.due() == [RECORDER]
    station.judge.step(now=ended - 5)  # a clock that was set back holds nothing up
    assert station.due() == []


def test_findings_of_one_visit_are_bounded(station: Station, recorder: Recorder) -> None:
    for _ in range(200):
        recorder.several(1)
        recorder.erase(recorder.take())
    recorder.several(1)
    found = station.dock(recorder)
    assert len(found) == 64
    assert station.open()[-1]["facts"]["more"] == 200 - 64
