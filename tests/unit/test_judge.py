"""The judge sleeps while nothing happens, and wakes for what ends."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.catalog import meta, visits
from agent.custody.completeness import judge
from agent.custody.completeness.judge import Judge
from tests.dockside import Dockside, recorder

FILES = {f"DCIM/8888888_000001_2026010112{n:02}00_{n:04}.mp4": 500 + n for n in (1, 2, 4)}
PATIENCE = 20.0


class Looks(Judge):
    """Counts how often it looks."""

    looked = 0

    def step(self, now: float | None = None) -> int:
        self.looked += 1
        return super().step(now)


@pytest.fixture
def side(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dockside]:
    monkeypatch.setattr(judge, "EVERY", 0.02)
    monkeypatch.setattr(visits, "GRACE", 0.5)
    made = Dockside(tmp_path / "station")
    yield made
    made.close()


def until_quiet(looks: Looks) -> int:
    """How often it had looked when it did not for half a second."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        before = looks.looked
        time.sleep(0.5)
        if looks.looked == before > 0:
            return before
    raise AssertionError("it looks again and again")


def judged(side: Dockside) -> int:
    """How many dockings are, after some seconds at most."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        (found,) = side.catalog.read().execute("SELECT count(*) FROM dockings WHERE judged = 1").fetchone()
        if found:
            return int(found)
        time.sleep(0.02)
    return 0


def test_a_docking_is_judged_without_looking_all_the_time(side: Dockside, tmp_path: Path) -> None:
    looks = Looks(side.catalog)
    looks.start()
    before = until_quiet(looks)
    side.dock(recorder(tmp_path / "rec", FILES))
    assert judged(side) == 1
    assert until_quiet(looks) > before
    assert looks.stop(5)


def test_a_commit_of_anything_costs_one_look(side: Dockside) -> None:
    looks = Looks(side.catalog)
    looks.start()
    before = until_quiet(looks)
    for number in map(str, range(50)):
        side.catalog.write(partial(meta.put, key="x", value=number))
    assert before < until_quiet(looks) < before + 50
    assert looks.stop(5)


def test_what_was_left_by_a_kill_is_judged_at_the_next_start(side: Dockside, tmp_path: Path) -> None:
    side.dock(recorder(tmp_path / "rec", FILES))
    looks = Looks(side.catalog)
    looks.start()
    assert judged(side) == 1
    assert looks.stop(5)


def test_it_ends_at_once_although_it_sleeps_for_an_hour(side: Dockside) -> None:
    looks = Looks(side.catalog)
    looks.start()
    until_quiet(looks)
    began = time.monotonic()
    assert looks.stop(5)
    assert time.monotonic() - began < 2
    assert not looks.is_alive()
