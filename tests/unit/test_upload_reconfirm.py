"""A centre that confirmed is asked again, and gets again what it lost."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import reconfirm
from tests.uploading import Station, content

DATA = content(1000, 77)
DAY = 86400.0


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


def stored(station: Station, number: int = 3) -> list[int]:
    clips = [station.store(f"{n}.mp4", content(1000, n)) for n in range(number)]
    station.run()
    assert station.states() == {"confirmed"}
    return clips


def wait(station: Station, days: float) -> int:
    """Time passes; how many errands that gave."""
    station.clock.now += days * DAY
    return station.run()


def lost(station: Station) -> dict[str, int]:
    return reconfirm.lost_now(station.catalog.read())


def asked(station: Station, clip: int) -> float:
    return float(station.delivery(clip)["asked"])


def at_centre(station: Station, clip: int) -> Path:
    return station.share / "clips" / station.key(clip)


def test_every_clip_is_asked_for_once_a_week(station: Station) -> None:
    clips = stored(station)
    age(station, 6)
    assert station.run() == 0
    age(station, 2)
    assert station.run() == len(clips)
    assert station.run() == 0


def age(station: Station, days: float) -> None:
    """As if the target had vouched for all so much longer ago."""
    station.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET asked = asked - ?", (days * DAY,)))


@pytest.mark.parametrize("loses", ["clip", "manifest", "both", "half"])
def test_what_the_centre_lost_is_told_and_sent_again(station: Station, loses: str) -> None:
    kept, gone, other = stored(station)
    path = at_centre(station, gone)
    if loses == "half":
        path.write_bytes(path.read_bytes()[:500])
    if loses in ("clip", "both"):
        path.unlink()
    if loses in ("manifest", "both"):
        path.with_name(path.name + ".json").unlink()
    age(station, 8)
    while station.state(gone) == "confirmed":
        assert station.uploads.step(), "nobody noticed"
    assert station.state(gone) == "uploading"
    assert lost(station) == {"centre": 1}
    assert {station.state(clip) for clip in (kept, other)} == {"confirmed"}
    reasons = [body.get("reason") for kind, body in station.events(gone) if kind == "lost-at-target"]
    assert reasons == ["not-there"]

    station.run()
    assert station.state(gone) == "confirmed"
    assert station.at_centre(gone) == content(1000, 1)
    assert lost(station) == {}


def test_a_share_of_the_clips_is_read_back_so_that_rot_is_found(tmp_path: Path) -> None:
    station = Station(tmp_path)
    station.uploads = station.make_uploads(read_back=1.0)
    clip, *_ = stored(station)
    path = at_centre(station, clip)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    age(station, 8)
    station.run()
    assert station.state(clip) == "confirmed"
    assert station.at_centre(clip) == content(1000, 0)
    assert "lost-at-target" in [kind for kind, _ in station.events(clip)]
    station.close()


def test_a_target_that_does_not_answer_has_lost_nothing(station: Station) -> None:
    clip, *_ = stored(station)
    before = asked(station, clip)
    age(station, 8)
    station.share.rename(station.share.with_name("away"))
    station.run()
    assert station.states() == {"confirmed"}
    assert asked(station, clip) < before
    station.share.with_name("away").rename(station.share)
    wait(station, 1 / 24)
    assert asked(station, clip) >= before


def test_a_clip_that_was_asked_for_under_a_wrong_clock_is_asked_for_again(station: Station) -> None:
    stored(station)
    age(station, -40_000)  # by a clock that said the year 2135
    assert station.run() == 3
    assert station.run() == 0


def test_a_clip_that_is_to_be_sent_goes_before_one_that_is_to_be_asked_for(station: Station) -> None:
    stored(station)
    age(station, 8)
    fresh = station.store("fresh.mp4", DATA)
    station.uploads.step()
    assert station.state(fresh) == "confirmed"
