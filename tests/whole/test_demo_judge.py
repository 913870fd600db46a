"""The demo's judge, who must not be fooled, whichever store it is."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest
import requests

from agent.model import ClipState
from scripts.demo import Summary, judge
from scripts.demo_bucket import Bucket
from scripts.demo_centre import Centre, Folder, Seaweed
from scripts.demo_rack import make_recorder
from scripts.demo_station import Station
from scripts.weed import Ports
from tests.servers.weed import ADMIN, Weed

_numbers = itertools.count(1)


class Shelf(Protocol):
    """What lies at the centre, for a test to change behind the judge's back."""

    @property
    def centre(self) -> Centre: ...

    def lay(self, name: str, data: bytes) -> None: ...
    def remove(self, name: str) -> None: ...


class InFolder:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.centre = Folder(path)

    def lay(self, name: str, data: bytes) -> None:
        (self._path / name).write_bytes(data)

    def remove(self, name: str) -> None:
        (self._path / name).unlink()


class InBucket:
    """Round S3, by the filer behind it."""

    def __init__(self, weed: Weed) -> None:
        self._weed, self._name = weed, f"judged-{next(_numbers)}"
        bucket = Bucket(weed.url.removeprefix("http://"), self._name, ADMIN)
        bucket.make()
        self.centre = Seaweed(Ports(*weed.ports[:8]), bucket, Path())

    def lay(self, name: str, data: bytes) -> None:
        answer = requests.put(self._weed.object(name, self._name), data=data, timeout=60)
        assert answer.status_code == 201, answer

    def remove(self, name: str) -> None:
        answer = requests.delete(self._weed.object(name, self._name), timeout=60)
        assert answer.status_code == 204, answer


@pytest.fixture(params=["seaweedfs", "folder"])
def at_the_centre(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shelf]:
    if request.param == "folder":
        (tmp_path / "centre").mkdir()
        yield InFolder(tmp_path / "centre")
        return
    weed: Weed = request.getfixturevalue("weed")
    made = InBucket(weed)
    yield made
    weed.forget(made._name)


@pytest.fixture
def station(at_the_centre: Shelf, tmp_path: Path) -> Station:
    """Every clip of a docked recorder lies at the centre, with a manifest."""
    station = Station(tmp_path, at_the_centre.centre)
    for number, clip in enumerate(make_recorder(station.rack / "slot-01", clips=3, size=50_000)):
        at_the_centre.lay(f"{number}.mp4", (station.rack / "slot-01" / clip).read_bytes())
        at_the_centre.lay(f"{number}.mp4.json", b"{}")
    at_the_centre.lay(".recorder-station-target", b"")
    return station


def first(station: Station) -> bytes:
    return min(station.rack.glob("*/DCIM/*/*")).read_bytes()


def test_the_judge_counts_what_is_equal(station: Station) -> None:
    verdict = station.verdict()
    assert (verdict.clips, verdict.confirmed) == (3, 3)
    assert verdict.bytes == sum(f.stat().st_size for f in station.rack.glob("*/DCIM/*/*"))


def test_the_judge_sees_one_flipped_bit(station: Station, at_the_centre: Shelf) -> None:
    data = bytearray(first(station))
    data[len(data) // 2] ^= 1
    at_the_centre.lay("0.mp4", bytes(data))
    assert station.verdict().confirmed == 2


def test_the_judge_misses_a_lost_clip(station: Station, at_the_centre: Shelf) -> None:
    at_the_centre.remove("0.mp4")
    assert station.verdict().confirmed == 2


def test_the_judge_sees_a_clip_that_lies_there_twice(station: Station, at_the_centre: Shelf) -> None:
    at_the_centre.lay("again", first(station))
    assert station.verdict().confirmed == 2


@pytest.mark.parametrize(
    ("confirmed", "states", "fault"),
    [
        (6, {"confirmed": 6}, ""),
        (5, {"confirmed": 6}, "only 5 of 6"),
        (6, {"confirmed": 5, "quarantined": 1}, "the station says"),
        (6, {"confirmed": 7}, "the station says"),
    ],
)
def test_the_demo_succeeds_only_when_station_and_judge_agree(
    confirmed: int, states: dict[str, int], fault: str
) -> None:
    summary = Summary(
        recorders=1, clips=6, bytes=1, confirmed=confirmed, quarantined=0, seconds=1.0, states=states
    )
    assert all(ClipState(state) for state in states)
    assert (fault in judge(summary)) if fault else judge(summary) == ""
