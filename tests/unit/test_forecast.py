"""The forecast is what a simulation of every single clip comes to, and it looks at the disk of now."""

import itertools
import math
import random
import sqlite3
from collections import defaultdict
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.catalog import Catalog, door, holds, intake
from agent.clock import Stamp
from agent.model import ClipState, Identity, SourceClip
from agent.retention.book import Book, take_over
from agent.retention.forecast import AHEAD, PAST, Forecast, forecast
from tests.retaining import config
from tests.uploading import content, manifest_of

S = ClipState
DAY = 86400.0
NOW = 1_800_000_000.0
WHO = Identity("R1", True, "F", "P1")


@dataclass
class Clip:
    docked: float
    size: int
    important: bool
    confirmed: float | None
    released: float | None
    held: bool

    def goes(self, local: dict[bool, float]) -> float:
        """When it goes, or went."""
        if self.released is not None:
            return self.released
        if self.confirmed is None or self.held:
            return math.inf
        return self.confirmed + max(local[False], local[self.important]) * DAY


class History:
    def __init__(self, catalog: Catalog, rng: random.Random, patch: pytest.MonkeyPatch) -> None:
        self.catalog, self.rng, self.at = catalog, rng, NOW
        patch.setattr("agent.catalog.door.stamp", lambda: Stamp(self.at, "boot", True))
        self.local = {important: float(rng.choice([1, 2, 5, 20, 60])) for important in (False, True)}
        classes = {
            name: {"local": f"{self.local[name == 'important']} days"} for name in ("ordinary", "important")
        }
        take_over(catalog, config(classes=classes))
        age, self.held = rng.choice([2, 9, 40]), rng.choice([0.0, 0.1])
        docked = sorted(NOW - rng.uniform(0, age * DAY) for _ in range(rng.randrange(1, 60)))
        docked[0] = NOW - age * DAY + 1
        self.clips = [self._clip(number, at) for number, at in enumerate(docked)]

    def _clip(self, number: int, at: float) -> Clip:
        rng = self.rng
        data = content(rng.randrange(100, 5000), number)
        clip = Clip(at, len(data), rng.random() < 0.3, None, None, rng.random() < self.held)
        source = SourceClip(f"{number}", len(data), 5, important=clip.important)
        self.at = at

        def come(tx: sqlite3.Connection) -> int:
            docking = intake.begin_docking(tx, "A1", WHO)
            known = intake.see(tx, docking, WHO, [source])[0]
            intake.start(tx, [known], docking)
            intake.describe(tx, known, manifest_of(data), f"R1/{number}", b"samples")
            intake.store(tx, [known])
            if clip.held:
                holds.place(tx, {"scope": "clip", "value": str(known)}, {})
            return known

        known = self.catalog.write(come)
        steps = [S.STORED, S.UPLOADING, S.UPLOADED, S.CONFIRMED, S.RELEASED]
        for old, new in itertools.pairwise(steps):
            self.at = rng.uniform(self.at, self.at + DAY)
            if self.at > NOW or rng.random() < 0.1 or (new is S.RELEASED and rng.random() < 0.7):
                break
            self._change(known, old, new)
            if new is S.CONFIRMED:
                clip.confirmed = self.at
            if new is S.RELEASED:
                clip.released = self.at
        return clip

    def _change(self, clip: int, old: ClipState, new: ClipState) -> None:
        self.catalog.write(lambda tx: door.change(tx, clip, old, new))

    def forecast(self, *, releasing: bool = True) -> Forecast | None:
        with self.catalog.reading() as db:
            return forecast(db, Book().keeping(db), NOW, releasing=releasing)


def naive(clips: list[Clip], local: dict[bool, float], room: float, *, releasing: bool) -> float:
    """Day by day, clip by clip: each clip of the last days comes again every day, by its share of a day."""
    days = min(PAST, (NOW - min(clip.docked for clip in clips)) / DAY)
    late = [clip for clip in clips if clip.docked > NOW - PAST * DAY]
    leaves: dict[float, float] = defaultdict(float)  # day → bytes

    def whole(seconds: float) -> float:
        return seconds if math.isinf(seconds) else math.ceil(seconds / DAY)

    for clip in clips:
        if releasing and clip.released is None:
            leaves[max(0, whole(clip.goes(local) - NOW))] += clip.size
    for day in range(AHEAD + 1):
        for clip in late if day else []:
            room -= clip.size / days
            if releasing:
                leaves[day + whole(clip.goes(local) - clip.docked)] += clip.size / days
        room += leaves[day]
        if room <= 0:
            return day
    return math.inf


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog.open(tmp_path / "catalog.db")) as catalog:
        yield catalog


@pytest.mark.parametrize("seed", range(40))
def test_it_is_what_a_simulation_of_every_clip_comes_to(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    history = History(catalog, rng, monkeypatch)
    releasing = rng.random() < 0.8
    found = history.forecast(releasing=releasing)
    assert found is not None
    for _ in range(20):
        reserve = rng.randrange(1000)
        free = rng.randrange(0, 100 * max(1, round(found.per_day)))
        days = found.days(free, reserve)
        least, most = (
            naive(history.clips, history.local, free - reserve + by, releasing=releasing)
            for by in (-1, 1)  # a byte, for what floating point rounds
        )
        assert least <= (math.inf if days is None else days) <= most


def test_a_station_that_lets_go_as_much_as_comes_is_never_full() -> None:
    """Two days' copies are here, of a hundred bytes a day."""
    steady = Forecast(100.0, [0.0, 100.0, 100.0] + [0.0] * (AHEAD - 2), [0.0, 0.0, 1.0] + [0.0] * (AHEAD - 2))
    assert steady.days(500, 100) is None
    kept = Forecast(100.0, [0.0] * (AHEAD + 1), [0.0] * (AHEAD + 1))
    assert [kept.days(free, 100) for free in (0, 100, 101, 200, 201, 500, 9100, 9101)] == [
        0, 0, 1, 1, 2, 4, 90, None,
    ]  # fmt: skip
    assert Forecast(0.0, [0.0] * (AHEAD + 1), [0.0] * (AHEAD + 1)).days(101, 100) is None


def test_a_station_of_less_than_a_day_has_none(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    with catalog.reading() as db:
        assert forecast(db, Book().keeping(db), NOW, releasing=True) is None
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(NOW - DAY / 2, "boot", True))
    catalog.write(lambda tx: intake.begin_docking(tx, "A1", WHO))
    with catalog.reading() as db:
        assert forecast(db, Book().keeping(db), NOW, releasing=True) is None
        later = forecast(db, Book().keeping(db), NOW + DAY, releasing=True)
    assert later is not None
    assert (later.per_day, later.days(2, 1)) == (0.0, None)
