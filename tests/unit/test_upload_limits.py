"""How fast and at which hours clips are sent, changed while they are under way."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import priority
from agent.config import Config
from agent.config.hours import within
from agent.config.schema import UploadConfig
from agent.errors import Stopping
from agent.model import StoredClip
from agent.upload.limits import Limits
from agent.upload.live import LiveUploads
from agent.upload.targets.base import go_on
from tests.unit.test_upload_scheduler import Moody
from tests.uploading import PART, Clock, Station, content, eventually, locked

KIB = 1 << 10


class Sleeper(Clock):
    """Time passes only when somebody sleeps."""

    def __init__(self) -> None:
        super().__init__()
        self.naps: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def limited(bandwidth: int | None, clock: Sleeper) -> Limits:
    limits = Limits(clock, clock.sleep)
    limits.set(UploadConfig(bandwidth=bandwidth))
    return limits


def send(limits: Limits, size: int, clock: Sleeper) -> float:
    """Bytes in a second that one uploader gets, in pieces as targets ask for."""
    begin, left = clock.now, size
    while left:
        left -= limits.grant(min(left, 256 * KIB), go_on)
    return size / (clock.now - begin)


@pytest.mark.parametrize("rate", [64 * KIB, 1_000_000, 20 << 20])
def test_no_more_is_sent_in_a_second_than_was_said(rate: int) -> None:
    clock = Sleeper()
    assert send(limited(rate, clock), 30 * rate, clock) == pytest.approx(rate, rel=0.02)


def test_no_pause_inside_a_part_is_long_enough_for_a_server_to_give_it_up() -> None:
    clock = Sleeper()
    limits = limited(64 * KIB, clock)
    send(limits, 8 << 20, clock)
    assert max(clock.naps) < 1
    assert max(limits.grant(256 * KIB, go_on) for _ in range(100)) <= 64 * KIB


def test_four_uploaders_share_one_allowance_and_none_of_them_pauses_for_long() -> None:
    clock = Sleeper()
    limits = limited(64 * KIB, clock)
    begin, sent, last, pauses = clock.now, 0, [clock.now] * 4, []
    for turn in range(400):
        sent += limits.grant(256 * KIB, go_on)
        pauses.append(clock.now - last[turn % 4])
        last[turn % 4] = clock.now
    assert sent / (clock.now - begin) == pytest.approx(64 * KIB, rel=0.02)
    assert max(pauses) < 1


def test_a_limit_that_changes_holds_for_the_next_bytes() -> None:
    clock = Sleeper()
    limits = limited(64 * KIB, clock)
    assert send(limits, 640 * KIB, clock) == pytest.approx(64 * KIB, rel=0.1)
    limits.set(UploadConfig(bandwidth=640 * KIB))
    assert send(limits, 6400 * KIB, clock) == pytest.approx(640 * KIB, rel=0.1)
    limits.set(UploadConfig())
    before = clock.now
    assert limits.grant(256 * KIB, go_on) == 256 * KIB
    assert clock.now == before


def test_whoever_waits_for_his_bytes_is_told_to_stop() -> None:
    clock = Sleeper()
    limits = limited(64 * KIB, clock)

    def stop() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        for _ in range(3):
            limits.grant(64 * KIB, stop)


@pytest.mark.parametrize(
    ("hours", "inside", "outside"),
    [
        ("19:00-07:00", ["19:00", "23:59", "00:00", "06:59"], ["07:00", "12:00", "18:59"]),
        ("08:30-17:00", ["08:30", "16:59"], ["08:29", "17:00", "00:00"]),
        ("20:00-00:00", ["20:00", "23:59"], ["00:00", "19:59"]),
    ],
)
def test_hours_may_end_on_the_next_day(hours: str, inside: list[str], outside: list[str]) -> None:
    def minute(text: str) -> int:
        return int(text[:2]) * 60 + int(text[3:])

    assert [at for at in inside + outside if within(hours, minute(at))] == inside


@pytest.fixture
def night(tmp_path: Path) -> Iterator[Station]:
    """Its hours have just begun; the test's clock says how long they last."""
    station = Station(tmp_path)
    station.limits.set(UploadConfig(hours=hours_from(station.clock.wall())))
    yield station
    station.close()


def hours_from(wall: float) -> str:
    """From a minute before `wall` for eight hours, in local time."""
    begin, end = (time.strftime("%H:%M", time.localtime(at)) for at in (wall - 60, wall + 8 * 3600))
    return f"{begin}-{end}"


def test_outside_the_hours_only_what_presses_is_sent(night: Station) -> None:
    night.run()  # greeted and swept
    night.clock.now += 9 * 3600
    plain, asked = night.store("1.mp4", b"1"), night.store("2.mp4", b"2")
    important = night.store("3.mp4", b"3", important=True)
    night.catalog.write(lambda tx: priority.first(tx, asked, "uid 0"))
    night.run()
    assert [night.state(clip) for clip in (plain, asked, important)] == ["stored", "confirmed", "confirmed"]
    night.clock.now += 16 * 3600
    night.run()
    assert night.state(plain) == "confirmed"


def test_outside_the_hours_nothing_is_asked_for_but_what_cannot_wait(night: Station) -> None:
    """A clip that was confirmed while the clock was wrong is to be locked as soon as it is right."""
    week_ago, at_once = night.store("1.mp4", b"1"), night.store("2.mp4", b"2")
    night.run()
    night.clock.now += 9 * 3600

    def asked(clip: int) -> float:
        return float(night.delivery(clip)["asked"])

    night.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = asked - 8 * 86400"))
    night.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = 0 WHERE clip = ?", (at_once,)))
    before = asked(week_ago)
    night.run()
    assert asked(at_once) > before
    assert asked(week_ago) == before
    night.clock.now += 16 * 3600
    night.run()
    assert asked(week_ago) > before


def test_while_the_clock_is_wrong_clips_are_sent_at_any_hour(night: Station) -> None:
    night.clock.now += 9 * 3600
    night.clock.trusted = False
    clip = night.store("1.mp4", b"1")
    night.run()
    assert night.state(clip) == "confirmed"


def test_a_clip_under_way_stops_after_its_part_at_the_end_of_the_hours_and_goes_on(tmp_path: Path) -> None:
    parts = 0

    def before(step: str, _: StoredClip) -> None:
        nonlocal parts
        parts += step == "send"
        if step == "send" and parts == 2:
            station.clock.now += 9 * 3600

    station = Station(tmp_path, {"centre": Moody(tmp_path / "share", before)})
    station.limits.set(UploadConfig(hours=hours_from(station.clock.wall())))
    data = content(5 * PART)
    clip = station.store("long.mp4", data)
    station.run()
    assert (parts, station.state(clip)) == (2, "uploading")
    assert station.run() == 0
    station.clock.now += 16 * 3600
    station.run()
    assert station.at_centre(clip) == data
    assert station.taken() == len(data)
    assert station.state(clip) == "confirmed"
    station.close()


def test_limits_change_without_tearing_down_what_is_under_way(tmp_path: Path) -> None:
    station = Station(tmp_path)

    def config(**upload: object) -> Config:
        target = {"kind": "folder", "path": station.share, "local": True}
        return Config.model_validate({"targets": {"centre": target}, "upload": upload})

    data = content(1 << 20)
    uploads = LiveUploads(station.catalog, station.path, locked())
    uploads.apply(config(bandwidth="64 KiB/s"))
    clip = station.store("1.mp4", data)
    uploads.notify()
    eventually(lambda: station.delivery(clip).get("state") == "sending")
    token, threads = station.delivery(clip)["token"], uploaders()
    assert threads
    uploads.apply(config())
    eventually(lambda: station.state(clip) == "confirmed")
    assert station.delivery(clip)["token"] == token
    assert uploaders() == threads
    assert station.at_centre(clip) == data
    assert uploads.stop(60)
    station.close()


def uploaders() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name.startswith("upload-")}
