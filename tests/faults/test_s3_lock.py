"""Object lock: a clip is locked from its first moment on for as long as it must be kept, and not longer."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import door, holds, intake
from agent.config import RetentionConfig
from agent.errors import AuthFailed
from agent.model import ClipState, Lock
from agent.retention.book import Book, take_over
from agent.retention.locks import lock_at_centre, lock_what_lengthened
from agent.upload.targets.s3.lock import Mode, told
from tests.contract.s3_kit import S3Kit
from tests.retaining import config as retention
from tests.servers.faults import Reply, Rule, s3_error
from tests.servers.proxy import FaultProxy
from tests.servers.weed import Weed
from tests.uploading import WHO, Bytes, Station, content, send_all
from tests.uploading import locked as lock_for

DAY = 86400.0
DATA = content(50_000)
#: Seconds by which the docking of a test may be earlier than it looks.
SOON = 120.0


@pytest.fixture
def locked(weed: Weed) -> Iterator[S3Kit]:
    with S3Kit(weed, locked=True) as kit:
        kit.target()
        yield kit


@pytest.fixture
def station(tmp_path: Path, locked: S3Kit, weed: Weed) -> Iterator[Callable[..., Station]]:
    made = Station(tmp_path, {"centre": locked.target_at(weed.url, lock=Mode.GOVERNANCE)})

    def with_uploads(**more: Any) -> Station:
        made.uploads = made.make_uploads(**more)
        return made

    yield with_uploads
    made.close()


def kept(kit: S3Kit, key: str, mode: Mode = Mode.GOVERNANCE) -> Lock:
    head = kit._admin.head(key)
    assert head
    return told(head.headers, mode)


def both(kit: S3Kit, station: Station, clip: int) -> tuple[Lock, Lock]:
    key = f"clips/{station.key(clip)}"
    return kept(kit, key), kept(kit, key + ".json")


def delete_all_versions(kit: S3Kit, key: str) -> None:
    head = kit._admin.head(key)
    assert head
    kit._admin._ask("DELETE", key, {"versionId": head.headers["x-amz-version-id"]}, fine=(204,))


def later(station: Station, days: float) -> None:
    """As if what was confirmed had been confirmed earlier."""
    station.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = asked - ?", (days * DAY,)))
    station.run()


@pytest.mark.parametrize(
    "recorded", [None, datetime(1980, 1, 1), datetime(2099, 1, 1), datetime.now() - timedelta(hours=9)]
)
def test_a_clip_cannot_be_deleted_before_its_time_whatever_its_recorders_clock_said(
    station: Callable[..., Station], locked: S3Kit, recorded: datetime | None
) -> None:
    made = station()
    clip = made.store("1.mp4", DATA, recorded=recorded)
    made.run()
    assert made.state(clip) == "confirmed"
    believed = recorded is not None and recorded.year not in (1980, 2099)
    begins = recorded.timestamp() if recorded and believed else made.clock.wall()
    for lock in both(locked, made, clip):
        assert lock.until == pytest.approx(begins + 183 * DAY, abs=SOON)
        assert not lock.hold
    for name in (f"clips/{made.key(clip)}", f"clips/{made.key(clip)}.json"):
        with pytest.raises(AuthFailed):
            delete_all_versions(locked, name)
    receipt = made.delivery(clip)["receipt"]
    assert '"lock": {"until": 1' in receipt


def test_a_clip_of_several_parts_is_locked_when_it_comes_to_be(locked: S3Kit, weed: Weed) -> None:
    data = content(2 * S3Kit.part + 7)
    clip, target = locked.clip(data), locked.target_at(weed.url, lock=Mode.GOVERNANCE)
    until = target.now() + 10 * DAY
    clip = replace(clip, lock=Lock(until))
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    target.finish(clip, token)
    assert target.verify(clip, token).lock.covers(Lock(until))
    with pytest.raises(AuthFailed):
        delete_all_versions(locked, f"clips/{clip.key}")


def test_an_important_clip_is_held_for_ever(station: Callable[..., Station], locked: S3Kit) -> None:
    made = station()
    clip = made.store("1.mp4", DATA, important=True, recorded=datetime(1980, 1, 1))
    made.run()
    assert both(locked, made, clip) == (Lock(hold=True), Lock(hold=True))


def test_nothing_is_locked_while_the_clock_is_wrong_and_everything_as_soon_as_it_is_right(
    station: Callable[..., Station], locked: S3Kit
) -> None:
    right = False
    made = station(trusted=lambda: right)
    clip = made.store("1.mp4", DATA)
    made.run()
    assert made.state(clip) == "confirmed"
    assert both(locked, made, clip) == (Lock(), Lock())
    right = True
    made.clock.now += 60
    made.run()
    for lock in both(locked, made, clip):
        assert lock.until == pytest.approx(made.clock.wall() + 183 * DAY, abs=SOON)


def test_a_lock_is_extended_when_clips_must_be_kept_longer_and_never_shortened(
    station: Callable[..., Station], locked: S3Kit
) -> None:
    made = station()
    clip = made.store("1.mp4", DATA)
    made.run()
    before = both(locked, made, clip)
    station(lock=lock_for(10 * DAY))
    later(made, 8)
    assert both(locked, made, clip) == before
    station(lock=lock_for(365 * DAY))
    later(made, 8)
    for lock, was in zip(both(locked, made, clip), before, strict=True):
        assert lock.until == pytest.approx(was.until + 182 * DAY, abs=SOON)
    station(lock=lock_for(math.inf))
    later(made, 8)
    assert all(lock.hold for lock in both(locked, made, clip))


def test_compliance_is_a_lock_that_nobody_lifts(tmp_path: Path, locked: S3Kit, weed: Weed) -> None:
    made = Station(tmp_path, {"centre": locked.target_at(weed.url, lock=Mode.COMPLIANCE)})
    clip = made.store("1.mp4", DATA)
    made.run()
    assert kept(locked, f"clips/{made.key(clip)}", Mode.COMPLIANCE).until > made.clock.wall()
    made.close()


def test_a_lock_that_the_bucket_gave_by_itself_is_extended_in_its_own_mode(locked: S3Kit, weed: Weed) -> None:
    """As a bucket with a rule of its own makes it, of a clip that came while the clock was wrong."""
    data = content(1000)
    target, strict = (locked.target_at(weed.url, lock=mode) for mode in (Mode.GOVERNANCE, Mode.COMPLIANCE))
    clip = replace(locked.clip(data), lock=Lock(target.now() + DAY))
    token = send_all(strict, clip, strict.begin(clip), Bytes(data))
    strict.finish(clip, token)
    longer = replace(clip, lock=Lock(target.now() + 9 * DAY))
    assert target.protect(longer, token).covers(longer.lock)
    assert kept(locked, f"clips/{clip.key}", Mode.COMPLIANCE).covers(longer.lock)


def test_a_bucket_that_cannot_lock_still_takes_clips_and_that_is_told(
    tmp_path: Path, weed: Weed, kit: S3Kit
) -> None:
    made = Station(tmp_path, {"centre": kit.target_at(weed.url, lock=Mode.GOVERNANCE)})
    clip = made.store("1.mp4", DATA)
    made.run()
    assert made.state(clip) == "confirmed"
    assert made.uploads.unlocked() == {"centre"}
    made.close()


def test_a_server_that_does_not_understand_the_question_whether_it_locks_still_takes_clips(
    tmp_path: Path, kit: S3Kit, proxy: FaultProxy
) -> None:
    made = Station(tmp_path, {"centre": kit.target_at(proxy.url, lock=Mode.GOVERNANCE)})
    proxy.add(Rule(s3_error("InvalidRequest"), "GET", r"\?object-lock", times=100))
    clip = made.store("1.mp4", DATA)
    made.run()
    assert made.state(clip) == "confirmed"
    assert made.uploads.unlocked() == {"centre"}
    made.close()


@pytest.mark.parametrize("size", [1000, 2 * S3Kit.part])
def test_keys_that_may_write_and_not_lock_are_told_and_nothing_is_laid_unlocked(
    locked: S3Kit, weed: Weed, proxy: FaultProxy, size: int
) -> None:
    data = content(size)
    target = locked.target_at(proxy.url, lock=Mode.GOVERNANCE)
    clip = replace(locked.clip(data), lock=Lock(target.now() + DAY))
    proxy.add(Rule(s3_error("AccessDenied", 403), "PUT|POST", times=100))
    with pytest.raises(AuthFailed) as raised:
        target.finish(clip, send_all(target, clip, target.begin(clip), Bytes(data)))
    assert raised.value.key == "target-lock-refused"
    assert locked.object(clip) is None


def test_a_lock_that_the_server_does_not_show_is_not_believed(
    locked: S3Kit, weed: Weed, proxy: FaultProxy
) -> None:
    target, data = locked.target_at(proxy.url, lock=Mode.GOVERNANCE), content(1000)
    clip = locked.clip(data)
    token = send_all(target, clip, target.begin(clip), Bytes(data))
    target.finish(clip, token)
    clip = replace(clip, lock=Lock(target.now() + DAY))
    proxy.add(Rule(Reply(200), "PUT", r"\?retention", times=100))
    with pytest.raises(AuthFailed) as raised:
        target.protect(clip, token)
    assert raised.value.key == "target-lock-refused"
    proxy.clear()
    assert target.protect(clip, token).covers(clip.lock)


def test_a_clip_that_turns_out_important_is_held_at_once(
    station: Callable[..., Station], locked: S3Kit
) -> None:
    made = station()
    clip = made.store("1.mp4", DATA)
    made.run()
    made.catalog.write(lambda tx: intake.mark_important(tx, clip))
    made.run()
    assert all(lock.hold for lock in both(locked, made, clip))


def test_a_clock_that_loses_trust_during_the_question_leaves_it_open(
    station: Callable[..., Station], monkeypatch: pytest.MonkeyPatch
) -> None:
    made = station()
    clip = made.store("1.mp4", DATA)
    made.run()
    made.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = 0"))
    target = made.targets["centre"]
    holds = target.holds

    def then_it_is_wrong(*arguments: Any) -> bool:
        made.clock.trusted = False
        return holds(*arguments)

    monkeypatch.setattr(target, "holds", then_it_is_wrong)
    made.run()
    assert not made.clock.trusted, "it was not asked"
    assert made.delivery(clip)["asked"] == 0


def test_one_odd_answer_makes_no_bucket_without_locks(locked: S3Kit, weed: Weed, proxy: FaultProxy) -> None:
    proxy.add(Rule(Reply(404), "GET", r"\?object-lock", times=1))
    target = locked.target_at(proxy.url, lock=Mode.GOVERNANCE)
    clip = replace(locked.clip(DATA), lock=Lock(target.now() + DAY))
    token = send_all(target, clip, target.begin(clip), Bytes(DATA))
    target.finish(clip, token)
    assert target.verify(clip, token).lock.covers(clip.lock)


def under(made: Station, book: Book) -> Any:
    take_over(made.catalog, RetentionConfig())
    made.uploads = made.make_uploads(lock=book.lock)
    return {"scope": "recorder", "value": WHO.recorder}


def test_a_hold_reaches_what_the_centre_has_already_and_is_pending_until_then(
    station: Callable[..., Station], locked: S3Kit
) -> None:
    made = station()
    hold = under(made, Book())
    here, gone = made.store("1.mp4", DATA), made.store("2.mp4", content(60_000))
    made.run()
    made.catalog.write(lambda tx: door.change(tx, gone, ClipState.CONFIRMED, ClipState.RELEASED))
    number = made.catalog.write(lambda tx: holds.place(tx, hold, {}))
    one = holds.in_force_one(made.catalog.read(), number)
    assert holds.standing(made.catalog.read(), one) == holds.Standing(2, 2)
    assert lock_at_centre(made.catalog, one) == 2
    made.run()
    for clip in (here, gone):
        assert all(lock.hold for lock in both(locked, made, clip))
    assert holds.standing(made.catalog.read(), one) == holds.Standing(2, 0)
    assert made.delivery(gone)["asked"] is None  # nobody asks for it again and again


def test_a_hold_that_is_set_while_a_clip_is_on_its_way_is_seen_when_it_arrives(
    station: Callable[..., Station], locked: S3Kit, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = station()
    hold = under(made, Book())
    clip = made.store("1.mp4", content(3_000_000), part_size=8 << 20)
    target = made.targets["centre"]
    verify = target.verify

    def late(*given: Any, **named: Any) -> Any:
        if not holds.in_force(made.catalog.read()):
            made.catalog.write(lambda tx: holds.place(tx, hold, {}))
        return verify(*given, **named)

    monkeypatch.setattr(target, "verify", late)
    made.run()
    assert all(lock.hold for lock in both(locked, made, clip))


def test_longer_rules_reach_what_the_centre_has_already_also_what_was_released(
    station: Callable[..., Station], locked: S3Kit
) -> None:
    made, book = station(), Book()
    under(made, book)
    here, gone = made.store("1.mp4", DATA), made.store("2.mp4", content(60_000))
    made.run()
    made.catalog.write(lambda tx: door.change(tx, gone, ClipState.CONFIRMED, ClipState.RELEASED))
    before = both(locked, made, gone)[0].until

    def lengthen(centre: str) -> int:
        take_over(made.catalog, retention(classes={"ordinary": {"centre": centre}}))
        return lock_what_lengthened(made.catalog, book.keeping, {"centre"}, time.time())

    assert lengthen("400 days") == 2
    made.run()
    for clip in (here, gone):
        assert all(lock.until > before + 200 * DAY for lock in both(locked, made, clip))
    assert made.delivery(gone)["asked"] is None
    assert lengthen("400 days") == 0  # they are locked for long enough
