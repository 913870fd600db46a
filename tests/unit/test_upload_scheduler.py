"""Clips go to their targets by themselves, past everything that stands in the way of one of them."""

import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import deliveries
from agent.errors import AuthFailed, Rejected, Transient
from agent.model import Receipt, StoredClip
from agent.upload.breaker import AUTH_PROBE, FAILURES, BreakerState
from agent.upload.scheduler import REJECTED_AGAIN, SILENCE
from agent.upload.targets.base import Check, LocalReader, go_on
from agent.upload.targets.folder import FolderTarget
from tests.uploading import PART, Counted, Station, content, eventually, running

HOUR = 3600.0


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


class Moody(Counted):
    """A folder target that calls `before` with the step's name and the clip before each step."""

    def __init__(self, root: Path, before: Callable[[str, StoredClip], None]) -> None:
        root.mkdir(parents=True, exist_ok=True)
        super().__init__("centre", root, first_contact=True)
        self.before = before

    def begin(self, clip: StoredClip, *, anew: bool = False) -> str:
        self.before("begin", clip)
        return super().begin(clip, anew=anew)

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        self.before("send", clip)
        return super().send(clip, token, reader, offset, length)

    def finish(self, clip: StoredClip, token: str, check: Check = go_on) -> None:
        self.before("finish", clip)
        super().finish(clip, token, check)

    def verify(
        self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
    ) -> Receipt:
        self.before("verify", clip)
        return super().verify(clip, token, check)


def moody(root: Path, before: Callable[[str, StoredClip], None]) -> Station:
    return Station(root, {"centre": Moody(root / "share", before)})


def facts(station: Station) -> Any:
    return station.uploads.facts()["centre"]


def test_every_stored_clip_arrives_and_is_confirmed(station: Station) -> None:
    sizes = [0, 1, PART, 3 * PART + 7]
    clips = {station.store(f"{size}.mp4", content(size)): content(size) for size in sizes}
    station.run()
    for clip, data in clips.items():
        assert station.state(clip) == "confirmed"
        assert station.at_centre(clip) == data
        kinds = [kind for kind, _ in station.events(clip)]
        assert kinds[-3:] == ["uploading", "uploaded", "confirmed"]
    assert not any((station.share / "incoming").iterdir())
    assert station.taken() == sum(sizes)
    assert not station.uploads.step()


def test_two_targets_each_get_every_clip(tmp_path: Path) -> None:
    roots = {name: tmp_path / name for name in ("centre", "mirror")}
    for root in roots.values():
        root.mkdir()
    targets = {name: FolderTarget(name, root, first_contact=True) for name, root in roots.items()}
    station = Station(tmp_path, {**targets})
    clips = [station.store(f"{number}.mp4", content(100, number)) for number in range(3)]
    station.run()
    assert station.states() == {"confirmed"}
    for root in roots.values():
        assert {(root / "clips" / station.key(clip)).read_bytes() for clip in clips} == {
            content(100, number) for number in range(3)
        }
    station.close()


def test_a_target_that_is_down_is_left_alone_and_then_gets_everything(station: Station) -> None:
    first = station.store("0.mp4", b"before")
    station.run()
    station.share.rename(station.root / "unplugged")
    clips = [station.store(f"{number}.mp4", content(100, number)) for number in range(1, 12)]
    tries = station.run()
    assert tries == FAILURES
    assert facts(station).breaker is BreakerState.OPEN
    assert facts(station).problem.key == "target-not-mounted"
    station.clock.now += HOUR
    assert facts(station).breaker is BreakerState.HALF_OPEN
    assert station.run() == 1
    (station.root / "unplugged").rename(station.share)
    for _ in range(3):
        station.clock.now += HOUR
        station.run()
    assert facts(station).breaker is BreakerState.CLOSED
    assert facts(station).problem is None
    assert {station.state(clip) for clip in [first, *clips]} == {"confirmed"}


def test_a_target_that_is_down_shows_even_when_a_single_clip_waits(station: Station) -> None:
    station.share.rename(station.root / "unplugged")
    station.store("1.mp4", b"alone")
    for _ in range(FAILURES):
        assert facts(station).breaker is BreakerState.CLOSED
        station.run()
        station.clock.now += 60
    assert facts(station).breaker is not BreakerState.CLOSED


def test_a_refused_credential_stops_the_target_until_it_is_probed(tmp_path: Path) -> None:
    refused = True

    def before(step: str, _: StoredClip) -> None:
        if refused and step == "begin":
            raise AuthFailed(error="EACCES")

    station = moody(tmp_path, before)
    clips = [station.store(f"{number}.mp4", content(10, number)) for number in range(3)]
    station.run()
    assert facts(station).breaker is BreakerState.OPEN
    refused = False
    station.clock.now += AUTH_PROBE - 1
    assert not station.uploads.step()
    station.clock.now += 1
    assert station.run() == len(clips) + 1  # and the first sweep
    assert station.states() == {"confirmed"}
    station.close()


def test_one_clip_that_makes_the_code_fail_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def before(step: str, clip: StoredClip) -> None:
        if step == "send" and "poison" in clip.key:
            raise ZeroDivisionError

    station = moody(tmp_path, before)
    poison = station.store("poison.mp4", b"poison", important=True)
    others = [station.store(f"{number}.mp4", content(10, number)) for number in range(3)]
    station.run()
    assert {station.state(clip) for clip in others} == {"confirmed"}
    assert station.state(poison) == "uploading"
    unexpected = [record for record in caplog.records if record.exc_info and record.levelno == logging.ERROR]
    assert len(unexpected) == 1
    station.close()


def test_clips_that_fail_for_themselves_do_not_judge_a_target_that_was_down(tmp_path: Path) -> None:
    def before(step: str, clip: StoredClip) -> None:
        if step == "send" and "poison" in clip.key:
            raise Transient(error="EIO")

    station = moody(tmp_path, before)
    for number in range(FAILURES):
        station.store(f"poison{number}.mp4", content(10, number), important=True)
    station.run()
    assert facts(station).breaker is BreakerState.OPEN
    fresh = [station.store(f"{number}.mp4", content(20, number)) for number in range(3)]
    station.clock.now += HOUR
    station.run()
    assert {station.state(clip) for clip in fresh} == {"confirmed"}
    station.close()


def test_a_clip_that_fails_again_and_again_is_tried_less_and_less_often(tmp_path: Path) -> None:
    tries: list[float] = []

    def before(step: str, clip: StoredClip) -> None:
        if "poison" in clip.key:
            if step == "begin":
                tries.append(here.clock.now)
            raise Transient(error="EIO")

    here = moody(tmp_path, before)
    here.store("poison.mp4", b"poison")
    for number in range(600):
        if number % 20 == 0:  # a good clip now and then, so that the target itself is not suspected
            here.store(f"{number}.mp4", content(10, number))
        here.run()
        here.clock.now += 10
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert gaps[0] <= 10
    assert 400 <= max(gaps) <= 1800
    here.close()


def test_a_long_clip_on_a_bad_link_gets_on_part_by_part(tmp_path: Path) -> None:
    calls = 0

    def before(step: str, _: StoredClip) -> None:
        nonlocal calls
        calls += step == "send"
        if step == "send" and calls % 2 == 0:
            raise Transient(error="ETIMEDOUT")

    station = moody(tmp_path, before)
    data = content(20 * PART)
    clip = station.store("long.mp4", data)
    for _ in range(21):
        station.run()
        assert facts(station).breaker is BreakerState.CLOSED
        station.clock.now += 3
    assert station.state(clip) == "confirmed"
    assert station.at_centre(clip) == data
    assert station.taken() == len(data)
    station.close()


def test_a_clip_that_the_target_refuses_is_kept_and_tried_again_the_next_day(tmp_path: Path) -> None:
    refused = True

    def before(step: str, clip: StoredClip) -> None:
        if refused and step == "finish" and "bad" in clip.key:
            raise Rejected("target-too-large", key=clip.key)

    station = moody(tmp_path, before)
    bad, good = station.store("bad.mp4", b"bad"), station.store("good.mp4", b"good")
    station.run()
    assert (station.state(bad), station.state(good)) == ("rejected", "confirmed")
    assert station.path(station.key(bad)).read_bytes() == b"bad"
    assert not any((station.share / "incoming").iterdir())
    refused = False
    station.clock.epoch = station.delivery(bad)["updated"] - station.clock.now
    station.clock.now += REJECTED_AGAIN / 2
    station.run()
    assert station.state(bad) == "rejected"
    station.clock.now += REJECTED_AGAIN
    station.run()
    assert station.state(bad) == "confirmed"
    station.close()


def test_a_token_that_the_target_lost_is_replaced(tmp_path: Path) -> None:
    fails = True

    def before(step: str, _: StoredClip) -> None:
        if fails and step == "finish":
            raise Transient(error="EIO")

    station = moody(tmp_path, before)
    clip = station.store("1.mp4", content(3 * PART))
    here = {"centre": station.targets["centre"].place()}
    station.catalog.write(lambda tx: deliveries.begin(tx, clip, "centre", "unheard of", here))
    station.run()
    [partial] = (station.share / "incoming").iterdir()
    assert partial.name == station.delivery(clip)["token"] + ".part"
    partial.unlink()
    fails = False
    station.clock.now += HOUR
    station.run()
    assert station.state(clip) == "confirmed"
    assert station.at_centre(clip) == content(3 * PART)
    station.close()


def test_a_crash_after_the_last_byte_goes_on_with_the_verification(tmp_path: Path) -> None:
    fails = True

    def before(step: str, _: StoredClip) -> None:
        assert step == "verify" or fails
        if fails and step == "verify":
            raise Transient(error="EIO")

    station = moody(tmp_path, before)
    clip = station.store("1.mp4", content(PART))
    station.run()
    assert station.state(clip) == "uploaded"
    fails = False
    station.clock.now += HOUR
    station.uploads = station.make_uploads()
    station.run()
    assert station.state(clip) == "confirmed"
    station.close()


@pytest.mark.parametrize(
    ("how", "reason"),
    [("altered", "receipt-differs"), ("lost", "not-there"), ("manifest lost", "not-there")],
)
def test_what_the_target_altered_or_lost_is_sent_again(tmp_path: Path, how: str, reason: str) -> None:
    done = False

    def before(step: str, clip: StoredClip) -> None:
        nonlocal done
        if step == "verify" and not done:
            done = True
            path = tmp_path / "share" / "clips" / clip.key
            match how:
                case "altered":
                    path.write_bytes(b"x" + content(3 * PART)[1:])
                case "lost":
                    path.unlink()
                case "manifest lost":
                    path.with_name(path.name + ".json").unlink()

    station = moody(tmp_path, before)
    clip = station.store("1.mp4", content(3 * PART))
    station.run()
    assert station.state(clip) == "uploading"
    kind, body = station.events(clip)[-1]
    assert (kind, body["reason"]) == ("uploading", reason)
    assert reason in station.delivery(clip)["problem"]
    station.clock.now += HOUR
    station.run()
    assert station.state(clip) == "confirmed"
    assert station.delivery(clip)["problem"] is None
    assert station.at_centre(clip) == content(3 * PART)
    assert [kind for kind, _ in station.events(clip)].count("confirmed") == 1
    station.close()


@pytest.mark.parametrize("how", ["flipped", "cut", "longer", "link", "folder", "gone"])
def test_a_clip_that_is_not_what_was_stored_is_quarantined_and_never_sent(station: Station, how: str) -> None:
    data = content(3 * PART)
    clip, other = station.store("1.mp4", data), station.store("2.mp4", b"other")
    path = station.path(station.key(clip))
    path.unlink()
    match how:
        case "flipped":
            path.write_bytes(data[: 2 * PART] + b"?" + data[2 * PART + 1 :])
        case "cut":
            path.write_bytes(data[:-1])
        case "longer":
            path.write_bytes(data + b"?")
        case "link":
            (station.root / "elsewhere").write_bytes(data)
            path.symlink_to(station.root / "elsewhere")
        case "folder":
            path.mkdir()
    station.run()
    assert (station.state(clip), station.state(other)) == ("quarantined", "confirmed")
    assert not (station.share / "clips" / station.key(clip)).exists()
    assert not any((station.share / "incoming").iterdir())
    assert facts(station).breaker is BreakerState.CLOSED
    station.clock.now += 100 * HOUR
    station.run()
    assert station.state(clip) == "quarantined"


def test_one_target_that_hangs_leaves_an_uploader_for_the_others(tmp_path: Path) -> None:
    go = threading.Event()

    def before(step: str, _: StoredClip) -> None:
        assert step != "begin" or go.wait(60)

    (tmp_path / "mirror").mkdir()
    hanging = Moody(tmp_path / "share", before)
    mirror = FolderTarget("mirror", tmp_path / "mirror", first_contact=True)
    station = Station(tmp_path, {"centre": hanging, "mirror": mirror})
    clips = [station.store(f"{number}.mp4", content(100, number)) for number in range(8)]
    with running(station.make_uploads(workers=2)):
        eventually(lambda: all(station.delivery(c, "mirror").get("state") == "confirmed" for c in clips))
        assert {station.delivery(clip).get("state") for clip in clips} == {None}
        go.set()
        eventually(lambda: station.states() == {"confirmed"})
    station.close()


def test_a_target_is_silent_only_while_a_clip_is_on_its_way(tmp_path: Path) -> None:
    silences: list[dict[str, float]] = []

    def before(_: str, __: StoredClip) -> None:
        silences.append(here.uploads.hanging())
        here.clock.now += SILENCE + 1
        silences.append(here.uploads.hanging())

    here = moody(tmp_path, before)
    here.store("1.mp4", b"x")
    here.run()
    assert silences[:2] == [{}, {"centre": SILENCE + 1}]
    assert here.uploads.hanging() == {}
    here.close()


def test_a_store_that_is_not_there_for_a_while_puts_nothing_into_quarantine(station: Station) -> None:
    clip = station.store("1.mp4", content(PART))
    station.clips.rename(station.root / "unmounted")
    station.run()
    assert station.state(clip) == "stored"
    assert facts(station).problem.key == "store-unreadable"
    (station.root / "unmounted").rename(station.clips)
    station.clock.now += HOUR
    station.run()
    assert station.state(clip) == "confirmed"


def test_a_stored_clip_wakes_the_uploaders(tmp_path: Path) -> None:
    station = Station(tmp_path)
    with running(station.make_uploads(workers=3)) as uploads:
        for number in range(20):
            station.store(f"{number}.mp4", content(1000, number))
            uploads.notify()
        eventually(lambda: station.states() == {"confirmed"})
        eventually(lambda: not uploads.facts()["centre"].in_flight)
    station.close()


def test_a_stop_under_load_leaves_everything_for_the_next_start(tmp_path: Path) -> None:
    sent, enough = 0, threading.Event()

    def before(step: str, _: StoredClip) -> None:
        nonlocal sent
        sent += step == "send"
        if sent == 6:
            enough.set()

    station = moody(tmp_path, before)
    data = {station.store(f"{n}.mp4", content(40 * PART, n)): content(40 * PART, n) for n in range(4)}
    first = station.make_uploads(workers=4)
    with running(first):
        assert enough.wait(30)
        assert first.facts()["centre"].in_flight
    held = sum(path.stat().st_size for path in (tmp_path / "share" / "incoming").iterdir())
    assert station.states() != {"confirmed"}
    assert held > 0
    with running(station.make_uploads(workers=4)):
        eventually(lambda: station.states() == {"confirmed"})
    assert station.taken() <= sum(map(len, data.values())) + 4 * PART
    for clip, wanted in data.items():
        assert station.at_centre(clip) == wanted
    station.close()


def test_a_long_verification_does_not_hold_up_the_stop(tmp_path: Path) -> None:
    started = threading.Event()

    class Slow(FolderTarget):
        def verify(
            self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
        ) -> Receipt:
            started.set()
            while True:  # reading back for hours
                check()

    root = tmp_path / "share"
    root.mkdir()
    station = Station(tmp_path, {"centre": Slow("centre", root, first_contact=True)})
    clip = station.store("1.mp4", b"x")
    with running(station.make_uploads()):
        assert started.wait(30)
    assert station.state(clip) == "uploaded"
    station.close()


def test_idle_uploaders_rest(tmp_path: Path) -> None:
    station = Station(tmp_path)
    looks = 0
    uploads = station.make_uploads()
    step = uploads.step

    def counted() -> bool:
        nonlocal looks
        looks += 1
        return step()

    uploads.step = counted  # type: ignore[method-assign]
    with running(uploads):
        eventually(lambda: looks >= 2)
        threading.Event().wait(0.3)
        assert looks <= 6  # greeting, sweep, and twice each uploader's look for more
    station.close()


def test_nothing_is_left_open(station: Station) -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - a count, as cheap as can be

    station.store("0.mp4", content(3 * PART))
    station.run()
    before = open_files()
    for number in range(1, 5):
        station.store(f"{number}.mp4", content(3 * PART, number))
    station.run()
    assert open_files() == before
