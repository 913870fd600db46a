"""Whose turn it is: clips before questions, but questions now and then; a full target is not thrown at."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import reconfirm
from agent.errors import AuthFailed, StationError, TargetFull, Transient
from agent.model import Lock, StoredClip
from agent.upload.breaker import FAILURES, BreakerState
from agent.upload.live import LiveUploads
from tests.unit.test_upload_reconfirm import DAY, age
from tests.unit.test_upload_scheduler import HOUR, Moody, facts
from tests.uploading import Counted, Station, content, eventually, locked, running


class Centre(Moody):
    """Raises `refuses` when a clip is to be sent, and counts what it is asked."""

    def __init__(self, root: Path, name: str = "centre") -> None:
        super().__init__(root, self._before)
        self.name = name
        self.refuses: StationError | None = None
        self.tries: list[int] = []
        self.questions = self.sweeps = 0

    def _before(self, step: str, clip: StoredClip) -> None:
        if step == "send":
            self.tries.append(clip.id)
            if self.refuses is not None:
                raise self.refuses

    def holds(self, clip: StoredClip, token: str) -> bool:
        self.questions += 1
        return super().holds(clip, token)

    def sweep(self, *args: Any) -> int:
        self.sweeps += 1
        return super().sweep(*args)


@pytest.fixture
def centre(tmp_path: Path) -> Centre:
    return Centre(tmp_path / "share")


@pytest.fixture
def station(tmp_path: Path, centre: Centre) -> Iterator[Station]:
    made = Station(tmp_path, {"centre": centre})
    yield made
    made.close()


def stored(station: Station, count: int, first: int = 0) -> list[int]:
    return [station.store(f"{n}.mp4", content(100, n)) for n in range(first, first + count)]


def confirmed(station: Station, count: int) -> list[int]:
    """Clips that the centre vouched for long ago: it is to be asked for each."""
    clips = stored(station, count)
    station.run()
    age(station, 8)
    return clips


def test_a_full_target_is_tried_by_one_clip_now_and_then(tmp_path: Path) -> None:
    full, other = Centre(tmp_path / "full", "full"), Centre(tmp_path / "other", "other")
    station = Station(tmp_path, {"full": full, "other": other})
    full.refuses = TargetFull()
    clips = stored(station, 20)
    station.run()
    assert len(full.tries) == 1
    assert station.uploads.facts()["full"].breaker is BreakerState.OPEN
    assert {station.delivery(clip, "other")["state"] for clip in clips} == {"confirmed"}
    for _ in range(24 * 60):
        station.clock.now += 60
        station.run()
    assert 24 * 60 / 5 <= len(full.tries) <= 24 * 60 / 2
    problem = station.uploads.facts()["full"].problem
    assert problem is not None
    assert problem.key == "target-full"
    assert station.store("one more.mp4", b"x")  # collecting goes on
    full.refuses = None
    station.clock.now += 300
    station.run()
    assert station.states() == {"confirmed"}
    station.close()


def test_a_single_clip_tries_a_full_target_at_least_every_five_minutes(
    station: Station, centre: Centre
) -> None:
    centre.refuses = TargetFull()
    [clip] = stored(station, 1)
    for _ in range(200):
        station.run()
        station.clock.now += 60
    centre.refuses = None
    station.clock.now += 300
    station.run()
    assert station.state(clip) == "confirmed"


def test_small_clips_still_go_where_a_large_one_has_no_room(tmp_path: Path) -> None:
    centre = Centre(tmp_path / "share")
    before = centre.before

    def no_room(step: str, clip: StoredClip) -> None:
        before(step, clip)
        if step == "send" and clip.manifest.size > 1000:
            raise TargetFull

    centre.before = no_room
    station = Station(tmp_path, {"centre": centre})
    large = station.store("large.mp4", content(5000))
    small: list[int] = []
    for number in range(10):
        small += stored(station, 1, number)
        station.run()
        station.clock.now += 600
    station.run()
    assert {station.state(clip) for clip in small} == {"confirmed"}
    assert station.state(large) == "uploading"
    assert facts(station).breaker is BreakerState.CLOSED
    station.close()


@pytest.mark.parametrize("error", [TargetFull(), AuthFailed()])
def test_an_answered_question_opens_no_way_for_clips_that_were_refused(
    station: Station, centre: Centre, error: StationError
) -> None:
    asked = confirmed(station, 3)
    centre.refuses = error
    stored(station, 30, first=10)
    station.run()
    assert len(centre.tries) == len(asked) + 1
    for tries in range(2, 5):
        station.clock.now += 300
        station.run()
        assert facts(station).problem is not None
        assert len(centre.tries) == len(asked) + tries, "more than one clip tried"
    assert facts(station).breaker is BreakerState.OPEN


def test_a_question_is_asked_while_a_clip_that_was_refused_waits(station: Station, centre: Centre) -> None:
    """One poisoned clip must not keep the station from noticing what the centre lost."""
    asked = confirmed(station, 3)
    before = centre.before

    def poisoned(step: str, clip: StoredClip) -> None:
        before(step, clip)
        if "poison" in clip.key:
            raise Transient(error="EIO")

    centre.before = poisoned
    station.store("poison.mp4", b"poison")
    for _ in range(40):
        station.clock.now += 60
        station.run()
    assert centre.questions == len(asked)


def test_a_breaker_closes_by_a_question_when_no_clip_is_due_any_more(
    station: Station, centre: Centre
) -> None:
    confirmed(station, 1)
    centre.refuses = TargetFull()
    [clip] = stored(station, 1, first=10)
    station.run()
    station.path(station.key(clip)).unlink()
    centre.refuses = None
    station.clock.now += HOUR
    station.run()  # quarantined: it is gone from the store
    station.clock.now += HOUR
    age(station, 8)
    station.run()
    assert station.state(clip) == "quarantined"
    assert facts(station).breaker is BreakerState.CLOSED
    assert facts(station).problem is None


def test_questions_have_a_turn_although_clips_never_end(station: Station, centre: Centre) -> None:
    asked = confirmed(station, 5)
    station.clock.now += DAY  # and to be swept again
    sweeps = centre.sweeps
    clips = stored(station, 100, first=10)
    while station.uploads.step():
        waiting = sum(station.state(clip) == "stored" for clip in clips)
        if centre.questions == len(asked) and centre.sweeps > sweeps:
            break
    assert centre.questions == len(asked)
    assert centre.sweeps == sweeps + 1
    assert waiting > 20


def test_one_uploader_asks_at_a_time_and_the_other_carries(tmp_path: Path) -> None:
    go, reading = threading.Event(), threading.Semaphore(0)
    held = 0

    class Slow(Counted):
        def holds(self, clip: StoredClip, token: str) -> bool:
            nonlocal held
            held += 1
            reading.release()
            assert go.wait(60)
            return super().holds(clip, token)

    roots = [tmp_path / "a", tmp_path / "b"]
    for root in roots:
        root.mkdir()
    station = Station(tmp_path, {root.name: Slow(root.name, root, first_contact=True) for root in roots})
    confirmed(station, 4)
    with running(station.make_uploads(workers=3)):
        assert reading.acquire(timeout=30)
        clips = stored(station, 5, first=10)
        station.uploads.notify()
        eventually(lambda: {station.state(clip) for clip in clips} == {"confirmed"})
        assert held == 1
        go.set()
        eventually(lambda: held == 8)
    station.close()


def test_nobody_is_asked_while_the_clock_may_be_wrong(station: Station, centre: Centre) -> None:
    asked = confirmed(station, 3)
    station.clock.trusted = False
    station.run()
    assert centre.questions == 0
    station.clock.trusted = True
    station.run()
    assert centre.questions == len(asked)


def test_what_the_centre_lost_is_told_until_it_has_it_again_also_after_a_restart(tmp_path: Path) -> None:
    station = Station(tmp_path)
    clip, *_ = confirmed(station, 3)
    (station.share / "clips" / station.key(clip)).unlink()
    while station.state(clip) == "confirmed":
        assert station.uploads.step()
    for _ in range(2):  # the second one is another process, as far as anybody can tell
        uploads = LiveUploads(station.catalog, station.path, locked())
        uploads._uploads = station.make_uploads()
        assert uploads.failing()["centre"].params == {"clips": 1}
    station.run()
    assert station.at_centre(clip) == content(100, 0)
    assert reconfirm.lost_now(station.catalog.read()) == {}
    assert uploads.failing() == {}
    station.close()


def test_days_without_the_centre_are_made_good_afterwards(tmp_path: Path) -> None:
    """With a folder here; with a real server in tests/faults/test_backlog.py."""
    station = Station(tmp_path)
    station.share.rename(tmp_path / "unplugged")
    clips: dict[int, bytes] = {}
    steps = 0
    for day in range(7):
        for number in range(10):
            data = content(200 + day, number)
            clips[station.store(f"{day}-{number}.mp4", data)] = data
        for _ in range(24 * 4):
            station.clock.now += 900
            steps += station.run()
    assert steps < FAILURES + 7 * 24 * 4 * 2
    station.clock.epoch -= 7 * DAY  # receipts are dated by this machine, for which no days have passed
    (tmp_path / "unplugged").rename(station.share)
    for _ in range(3):
        station.clock.now += 900
        station.run()
    for clip, data in clips.items():
        assert station.at_centre(clip) == data
        assert [kind for kind, _ in station.events(clip)].count("confirmed") == 1
    assert station.taken() == sum(map(len, clips.values()))
    station.close()


def test_a_lock_that_is_refused_to_clips_that_are_there_keeps_no_clip_from_the_target(
    station: Station, centre: Centre, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = confirmed(station, 3)

    def protect(clip: StoredClip, token: str) -> Lock:
        if clip.id in old:
            raise AuthFailed("target-lock-refused", error="AccessDenied")
        return clip.lock

    monkeypatch.setattr(centre, "locking", True)
    monkeypatch.setattr(centre, "protect", protect)
    station.run()
    assert centre.questions >= len(old)
    assert station.uploads.unlocked() == {"centre"}
    assert station.run() == 0  # they are asked for again when it is time
    [new] = stored(station, 1, first=7)
    station.run()
    assert station.state(new) == "confirmed"
    assert facts(station).breaker == "closed"
