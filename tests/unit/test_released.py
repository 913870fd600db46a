"""Clips that were released are asked for by chance, and one that the centre lost is never forgotten."""

import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import Catalog, door, reconfirm, released
from agent.errors import Transient
from agent.model import ClipState, Lock
from agent.upload.report import sample
from agent.upload.report.sample import Sample
from agent.upload.targets.base import go_on
from scripts.benchmarks.million import build
from tests.uploading import Station, content


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


def released_clips(station: Station, count: int) -> list[int]:
    clips = [station.store(f"{n}.mp4", content(1000, n)) for n in range(count)]
    station.run()
    for clip in clips:
        station.catalog.write(
            lambda tx, clip=clip: door.change(tx, clip, ClipState.CONFIRMED, ClipState.RELEASED)  # type: ignore[misc]
        )
    return clips


def asking(station: Station) -> Sample:
    return Sample(
        station.uploads.generation, station.targets["centre"], go_on, random.Random(3), station.clock
    )


def at_centre(station: Station, clip: int) -> Path:
    return station.share / "clips" / station.key(clip)


def counted(station: Station) -> dict[str, int]:
    return released.counted(station.catalog.read())


def test_a_released_clip_that_the_centre_lost_is_told_until_it_is_found_again(station: Station) -> None:
    clips = released_clips(station, 3)
    asks = asking(station)
    asks.ask()
    assert counted(station) == {}
    gone = at_centre(station, clips[1])
    gone.rename(gone.with_name("elsewhere"))
    for _ in range(5):
        station.clock.now += sample.EVERY
        asks.ask()
    assert counted(station) == {"centre": 1}
    kinds = [kind for kind, _ in station.events(clips[1])]
    assert kinds.count("lost-after-release") == 1
    assert station.state(clips[1]) == "released"

    gone.with_name("elsewhere").rename(gone)
    asking(station).ask()  # after a restart
    assert counted(station) == {}
    assert [kind for kind, _ in station.events(clips[1])][-1] == "found-after-release"
    assert not {kind for clip in (clips[0], clips[2]) for kind, _ in station.events(clip)} & {
        "lost-after-release",
        "found-after-release",
    }


def test_one_that_nothing_here_wants_there_any_more_is_not_missed(station: Station) -> None:
    [clip] = released_clips(station, 1)
    at_centre(station, clip).unlink()
    for locks, lost in ((Lock(), 0), (Lock(hold=True), 1), (None, 1)):
        asks = Sample(
            station.uploads.generation, station.targets["centre"], go_on, random.Random(3), station.clock,
            lambda db, clip, locks=locks: locks,  # type: ignore[misc]
        )  # fmt: skip
        asks.ask()
        assert sum(counted(station).values()) == lost


def test_one_that_is_to_be_held_there_and_is_lost_is_told_once_and_not_asked_for_without_end(
    station: Station,
) -> None:
    [clip] = released_clips(station, 1)
    at_centre(station, clip).unlink()
    for _ in range(2):
        station.catalog.write(lambda tx: reconfirm.soon(tx, [clip], prove=True))
        station.run()
    assert counted(station) == {"centre": 1}
    assert [kind for kind, _ in station.events(clip)].count("lost-after-release") == 1


def test_something_else_under_the_name_of_a_clip_is_not_the_clip(station: Station) -> None:
    [clip] = released_clips(station, 1)
    at_centre(station, clip).unlink()
    at_centre(station, clip).mkdir()
    asking(station).ask()
    assert counted(station) == {"centre": 1}


def test_it_is_asked_once_a_day(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    released_clips(station, 5)
    asks, asked = asking(station), list[int]()
    real = released.load

    def load(db: sqlite3.Connection, clip: int, target: str) -> released.Released:
        asked.append(clip)
        return real(db, clip, target)

    monkeypatch.setattr(released, "load", load)
    asks.ask()
    first = len(asked)
    assert 0 < first <= 5
    station.clock.now += sample.EVERY - 1
    asks.ask()
    assert len(asked) == first
    station.clock.now += 1
    asks.ask()
    assert len(asked) > first


def test_a_centre_that_is_away_has_lost_nothing_and_is_asked_when_it_is_back(station: Station) -> None:
    [clip] = released_clips(station, 1)
    at_centre(station, clip).unlink()
    asks = asking(station)
    station.share.rename(station.share.with_name("away"))
    with pytest.raises(Transient):
        asks.ask()
    assert counted(station) == {}
    station.share.with_name("away").rename(station.share)
    asks.ask()
    assert counted(station) == {"centre": 1}


def test_clips_that_are_still_here_are_not_drawn(station: Station) -> None:
    station.store("1.mp4", content(1000))
    station.run()
    place = station.uploads.generation.place("centre")
    assert released.drawn(station.catalog.read(), "centre", place, 20, random.Random(1)) == []


@pytest.mark.parametrize("clips", [30, 3_000])
def test_every_clip_has_its_chance(tmp_path: Path, clips: int) -> None:
    """Also the last ones of a docking, behind whose ids a long gap comes."""
    build(tmp_path / "catalog.db", clips, recorders=3)
    catalog = Catalog.open(tmp_path / "catalog.db")
    catalog.write(lambda tx: tx.execute("UPDATE deliveries SET place = 'here'"))
    db, rng = catalog.read(), random.Random(1)
    there = [row[0] for row in db.execute("SELECT id FROM clips WHERE state = 'released' ORDER BY id")]
    (target,) = db.execute("SELECT DISTINCT target FROM deliveries").fetchone()
    drawn = Counter[int]()
    for _ in range(600):
        drawn.update(released.drawn(db, target, "here", 20, rng))
    assert set(drawn) <= set(there)
    tenths = [
        sum(drawn[clip] for clip in there[len(there) * n // 10 : len(there) * (n + 1) // 10])
        for n in range(10)
    ]
    assert min(tenths) > sum(tenths) / 10 / 4
    assert len(drawn) > 0.9 * len(there)
    catalog.close()
