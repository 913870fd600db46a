"""What upload commits: no clip is confirmed by anything but receipts, and no clip is forgotten."""

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.catalog import deliveries, waiting
from agent.catalog.deliveries import PlaceChanged, ReceiptDiffers
from agent.errors import WrongState
from agent.model import PENDING_UPLOAD, ClipState, Problem, Receipt
from tests.uploading import Station

S = ClipState
ONE = {"centre": "first disk"}
TWO = {**ONE, "mirror": "second disk"}
DATA = b"what the officer saw"
WHY = Problem("target-conflict", {"key": "x"})


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


def receipt_for(station: Station, clip: int, target: str = "centre", **other: Any) -> Receipt:
    size, sha256 = (
        station.catalog.read()
        .execute("SELECT size, lower(hex(sha256)) FROM clips WHERE id = ?", (clip,))
        .fetchone()
    )
    said = {"location": "there", "size": size, "sha256": sha256, "at": 1.0, "place": TWO[target]}
    return Receipt(**{**said, **other})


def act(station: Station, clip: int, what: str, target: str = "centre", targets: Any = ONE) -> None:
    receipt = receipt_for(station, clip, target, place=targets[target])

    def work(tx: sqlite3.Connection) -> None:
        match what:
            case "begin":
                deliveries.begin(tx, clip, target, "token", targets)
            case "sent":
                deliveries.sent(tx, clip, target, targets)
            case "confirmed":
                deliveries.confirmed(tx, clip, target, receipt, targets)
            case "rejected":
                deliveries.rejected(tx, clip, target, WHY, targets)
            case "resend":
                deliveries.resend(tx, clip, target, WHY, targets)
            case "retry":
                deliveries.retry_rejected(tx, 1e12, 1e12 + 1, targets)
            case _:
                raise AssertionError(what)

    station.catalog.write(work)


def due(station: Station, target: str = "centre", place: str = "", skip: Any = ()) -> int | None:
    where = {**TWO, **({target: place} if place else {})}
    station.catalog.write(lambda tx: waiting.follow(tx, target, where))
    return waiting.next_due(station.catalog.read(), target, where[target], skip.__contains__)


def test_important_clips_go_first_then_the_oldest(station: Station) -> None:
    first, second = station.store("1.mp4", b"1"), station.store("2.mp4", b"2")
    marked = station.store("3.mp4", b"3", important=True)
    order: list[int] = []
    while (clip := due(station, skip=order)) is not None:
        order.append(clip)
    assert order == [marked, first, second]


def test_a_clip_is_confirmed_by_its_receipt_only(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    for what, state in [("begin", S.UPLOADING), ("sent", S.UPLOADED), ("confirmed", S.CONFIRMED)]:
        assert due(station) == clip
        act(station, clip, what)
        assert station.state(clip) == state
    assert due(station) is None
    kind, body = station.events(clip)[-1]
    assert kind == "confirmed"
    assert (body["target"], body["receipt"]["location"]) == ("centre", "there")
    assert json.loads(station.delivery(clip)["receipt"])["size"] == len(DATA)


@pytest.mark.parametrize("lie", [{"size": len(DATA) + 1}, {"size": 0}, {"sha256": "0" * 64}, {"sha256": ""}])
def test_a_receipt_that_differs_confirms_nothing(station: Station, lie: dict[str, Any]) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "begin")
    act(station, clip, "sent")
    before = station.delivery(clip), station.events(clip)
    receipt = receipt_for(station, clip, **lie)
    with pytest.raises(ReceiptDiffers):
        station.catalog.write(lambda tx: deliveries.confirmed(tx, clip, "centre", receipt, ONE))
    assert station.state(clip) == S.UPLOADED
    assert (station.delivery(clip), station.events(clip)) == before


@pytest.mark.parametrize("done", [[], ["begin"]])
def test_a_receipt_before_the_last_byte_was_taken_confirms_nothing(station: Station, done: list[str]) -> None:
    clip = station.store("1.mp4", DATA)
    for what in done:
        act(station, clip, what)
    with pytest.raises(WrongState):
        act(station, clip, "confirmed")
    assert station.state(clip) != S.CONFIRMED


def test_a_clip_is_confirmed_when_every_target_has_it(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "begin", "centre", TWO)
    act(station, clip, "sent", "centre", TWO)
    act(station, clip, "confirmed", "centre", TWO)
    assert station.state(clip) == S.UPLOADING
    assert (due(station, "centre"), due(station, "mirror")) == (None, clip)
    act(station, clip, "begin", "mirror", TWO)
    act(station, clip, "sent", "mirror", TWO)
    assert station.state(clip) == S.UPLOADED
    act(station, clip, "confirmed", "mirror", TWO)
    assert station.state(clip) == S.CONFIRMED
    said = [(kind, body["target"]) for kind, body in station.events(clip) if "receipt" in body]
    assert said == [("delivered", "centre"), ("confirmed", "mirror")]


def test_one_target_that_refuses_does_not_keep_the_clip_from_the_other(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "rejected", "centre", TWO)
    assert station.state(clip) == S.UPLOADING
    assert (due(station, "centre"), due(station, "mirror")) == (None, clip)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "mirror", TWO)
    assert station.state(clip) == S.REJECTED


def test_without_a_target_nothing_is_ever_confirmed(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    assert station.catalog.write(lambda tx: deliveries.settle_all(tx, {})) == 0
    assert station.state(clip) == S.STORED


def test_a_clip_that_waits_for_a_target_no_longer_configured_goes_on(station: Station) -> None:
    clip, fresh = station.store("1.mp4", DATA), station.store("2.mp4", DATA * 2)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "centre", TWO)
    assert station.catalog.write(lambda tx: deliveries.settle_all(tx, TWO)) == 0
    assert station.state(clip) == S.UPLOADING
    assert station.catalog.write(lambda tx: deliveries.settle_all(tx, ONE)) == 1
    assert (station.state(clip), station.state(fresh)) == (S.CONFIRMED, S.STORED)


def test_a_refused_clip_gets_another_chance_after_its_time(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "rejected")
    assert (station.state(clip), due(station)) == (S.REJECTED, None)
    at = station.delivery(clip)["updated"]

    def retry(older_than: float, now: float) -> int:
        return station.catalog.write(lambda tx: deliveries.retry_rejected(tx, older_than, now, ONE))

    assert retry(at - 1, at + 1) == 0
    assert retry(at + 1, at + 2) == 1
    assert (station.state(clip), due(station)) == (S.UPLOADING, clip)
    assert station.delivery(clip)["token"] == ""


def test_a_clip_refused_by_a_target_that_left_is_confirmed_when_all_others_have_it(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "centre", TWO)
    act(station, clip, "rejected", "mirror", TWO)
    assert station.state(clip) == S.REJECTED
    act(station, clip, "retry", targets=ONE)
    assert station.state(clip) == S.CONFIRMED


def test_a_refusal_dated_by_a_wrong_clock_does_not_last_for_ever(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "rejected")
    at = station.delivery(clip)["updated"]
    station.catalog.write(lambda tx: deliveries.retry_rejected(tx, at - 2e9, at - 1e9, ONE))
    assert due(station) == clip


def test_a_clip_in_quarantine_is_not_moved_by_a_late_answer(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "begin")
    act(station, clip, "sent")
    station.catalog.write(lambda tx: deliveries.quarantined(tx, clip, Problem("not-equal", {"part": 0})))
    for what in ("begin", "sent", "confirmed", "rejected", "resend"):
        with pytest.raises(WrongState):
            act(station, clip, what)
    assert station.state(clip) == S.QUARANTINED
    assert deliveries.load(station.catalog.read(), clip, "centre", ONE["centre"]) is None


def test_the_same_failure_again_writes_nothing(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "begin")

    def fail(problem: Problem) -> int:
        def work(tx: sqlite3.Connection) -> int:
            before = tx.total_changes
            deliveries.failed(tx, clip, "centre", problem)
            return tx.total_changes - before

        return station.catalog.write(work)

    assert [fail(WHY), fail(WHY), fail(Problem("target-full"))] == [1, 0, 1]
    assert json.loads(station.delivery(clip)["problem"])["key"] == "target-full"


def test_the_queue_counts_what_is_stored_and_not_confirmed(station: Station) -> None:
    clips = [station.store(f"{number}.mp4", bytes([number]) * 10) for number in range(3)]
    for what in ("begin", "sent", "confirmed"):
        act(station, clips[0], what)
    act(station, clips[1], "begin")
    assert deliveries.queue(station.catalog.read()) == (2, 20)


MOVED = {**TWO, "centre": "third disk"}
UNKNOWN = {**TWO, "centre": ""}


def test_what_another_place_of_that_name_vouched_for_does_not_count(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "centre", TWO)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "mirror", MOVED)
    assert station.state(clip) == S.UPLOADING
    assert due(station, "centre", MOVED["centre"]) == clip
    assert station.catalog.write(lambda tx: deliveries.settle_all(tx, MOVED)) == 0
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "centre", MOVED)
    assert station.state(clip) == S.CONFIRMED


def test_nothing_counts_for_a_target_that_was_not_asked_who_it_is(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "centre", TWO)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what, "mirror", UNKNOWN)
    assert station.state(clip) == S.UPLOADING
    assert station.catalog.write(lambda tx: deliveries.settle_all(tx, UNKNOWN)) == 0
    assert station.catalog.write(lambda tx: deliveries.settle_all(tx, TWO)) == 1
    assert station.state(clip) == S.CONFIRMED


@pytest.mark.parametrize("place", ["", "third disk"])
def test_a_receipt_from_another_place_confirms_nothing(station: Station, place: str) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "begin")
    act(station, clip, "sent")
    receipt = receipt_for(station, clip, place=place)

    def believe(targets: dict[str, str]) -> None:
        station.catalog.write(lambda tx: deliveries.confirmed(tx, clip, "centre", receipt, targets))

    for known in (ONE, UNKNOWN):
        with pytest.raises(PlaceChanged):
            believe(known)
    assert station.state(clip) == S.UPLOADED


def test_a_delivery_to_another_place_begins_anew(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    act(station, clip, "begin", "centre", TWO)
    act(station, clip, "sent", "centre", TWO)
    there = deliveries.load(station.catalog.read(), clip, "centre", MOVED["centre"])
    assert there is not None
    assert (there.state, there.token) == (None, "")
    for what in ("sent", "confirmed", "resend"):
        with pytest.raises(WrongState):
            act(station, clip, what, "centre", MOVED)
    act(station, clip, "begin", "centre", MOVED)
    assert station.delivery(clip)["place"] == MOVED["centre"]


def test_tokens_that_are_forgotten_leave_what_was_sent_alone(station: Station) -> None:
    clips = [station.store(f"{number}.mp4", bytes([number]) * 10) for number in range(3)]
    for clip in clips[:2]:
        act(station, clip, "begin")
    act(station, clips[1], "sent")
    pairs = [("centre", clip) for clip in clips]
    forgotten = station.catalog.write(lambda tx: deliveries.forget_tokens(tx, pairs))
    assert forgotten == {("centre", clips[0]): "token"}
    assert [station.delivery(clip).get("token") for clip in clips] == ["", "token", None]
    assert [station.state(clip) for clip in clips] == [S.UPLOADING, S.UPLOADED, S.STORED]


def steps_of(station: Station) -> int:
    """What SQLite does to find the next clip, in steps of its machine: the same on every computer."""
    count = 0

    def tick() -> int:
        nonlocal count
        count += 1
        return 0

    db = station.catalog.read()
    db.set_progress_handler(tick, 1)
    try:
        due(station)
    finally:
        db.set_progress_handler(None, 1)
    return count


def test_finding_the_next_clip_costs_the_same_however_many_are_confirmed(station: Station) -> None:
    clip = station.store("1.mp4", DATA)
    for what in ("begin", "sent", "confirmed"):
        act(station, clip, what)
    waiting = station.store("2.mp4", DATA * 2)
    before = steps_of(station)
    columns = [row[1] for row in station.catalog.read().execute("PRAGMA table_info(clips)")]
    changed = {"id": "id + n", "event": "event + n", "key": "NULL", "sha256": "NULL", "seen_at": "0"}
    copied = ", ".join(changed.get(name, name) for name in columns)
    numbers = (
        "WITH RECURSIVE numbers(n) AS (SELECT 10000 UNION ALL SELECT n + 1 FROM numbers WHERE n < 13000)"
    )

    def many(tx: sqlite3.Connection) -> None:
        tx.execute(
            f"{numbers} INSERT INTO events SELECT {clip} + n, {clip} + n, 'rebuilt',"
            ' \'{"from":null,"to":"confirmed"}\', 0, \'\', 1 FROM numbers'
        )
        tx.execute(
            f"{numbers} INSERT INTO clips SELECT {copied.replace('event + n', f'{clip} + n')}"
            f" FROM clips, numbers WHERE id = {clip}"
        )

    station.catalog.write(many)
    assert due(station) == waiting
    assert steps_of(station) == before


ACTS = ["begin", "sent", "confirmed", "rejected", "resend"]


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    made = Station(tmp_path_factory.mktemp("stories"))
    yield made
    made.close()


NUMBERS = itertools.count()


@settings(max_examples=150)
@given(
    story=st.lists(st.tuples(st.sampled_from([*ACTS, "retry"]), st.sampled_from(sorted(TWO))), max_size=14)
)
def test_no_story_of_two_targets_loses_a_clip(long_lived: Station, story: list[tuple[str, str]]) -> None:
    station, number = long_lived, next(NUMBERS)
    for name in TWO:
        station.catalog.write(partial(waiting.follow, target=name, targets=TWO))
    clip = station.store(f"{number}.mp4", DATA + str(number).encode())

    def delivery(target: str) -> str | None:
        state: str | None = station.delivery(clip, target).get("state")
        return state

    def waits(target: str) -> bool:
        db = station.catalog.read()
        return waiting.next_due(db, target, TWO[target], lambda other: other != clip) == clip

    for what, target in story:
        with contextlib.suppress(WrongState):
            act(station, clip, what, target, TWO)
        states = {delivery(name) for name in TWO}
        assert (station.state(clip) == S.CONFIRMED) == (states == {"confirmed"})
        assert (station.state(clip) == S.REJECTED) == (
            "rejected" in states and states <= {"rejected", "confirmed"}
        )
        assert any(map(waits, TWO)) == (station.state(clip) in PENDING_UPLOAD)
    act(station, clip, "retry", targets=TWO)
    for target in filter(waits, TWO):
        for what in ("begin", "sent", "confirmed"):
            act(station, clip, what, target, TWO)
    act(station, clip, "retry", targets=TWO)
    for target in filter(waits, TWO):
        for what in ("begin", "sent", "confirmed"):
            act(station, clip, what, target, TWO)
    assert station.state(clip) == S.CONFIRMED
