"""kill -9 at each line of finding and healing what is rotten: nothing is lost, nothing is called whole that
is not, and the next step ends it."""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from agent.catalog import rot
from agent.ingest import heal, scrub, store
from tests.dockside import in_a_child
from tests.scrubbing import House, spoil

pytestmark = pytest.mark.usefixtures("trusted_clock")

LINES = frozenset(module.__file__ for module in (rot, heal, scrub, store))
#: Every line of theirs with `RECORDER_STATION_EVERY=1`.
EVERY = int(os.environ.get("RECORDER_STATION_EVERY", "17"))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three clips that the centre has, of which one is rotten and one is gone, and a rotten one that nobody
    has but its recorder."""
    house = House(tmp_path_factory.mktemp("prepared") / "house", time.time)
    house.record(1, 2, 3, size=5000)
    house.dock()
    house.send()
    house.record(4, size=5000)
    house.dock()
    house.age()
    spoil(house.path(1))
    spoil(house.path(2), "gone")
    spoil(house.path(4))
    house.stop()
    return house.root


def scrubbed_in_a_child(root: Path, die_at: int) -> int:
    """The exit code: minus the signal that ended it. Beyond all lines: 0."""

    def work() -> None:
        tracer = Tracer(die_at)
        threading.settrace(tracer.call)  # before the thread that writes the catalog begins
        house = House(root, time.time)
        sys.settrace(tracer.call)
        tracer.counts = True
        house.scrub.step()
        tracer.counts = False
        sys.settrace(None)
        (root / "lines").write_text(str(tracer.seen))

    return in_a_child(work)


class Tracer:
    def __init__(self, die_at: int) -> None:
        self.die_at, self.seen, self.counts = die_at, 0, False

    def call(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        return self.line if frame.f_code.co_filename in LINES else None

    def line(self, frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        if event == "line" and self.counts:
            self.seen += 1
            if self.seen == self.die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self.line


def test_a_kill_at_any_line_loses_nothing_and_the_next_step_ends_it(prepared: Path, tmp_path: Path) -> None:
    card = {path.name: path.read_bytes() for path in (prepared / "card").rglob("*.mp4")}
    root = tmp_path / "whole"
    shutil.copytree(prepared, root)
    assert scrubbed_in_a_child(root, -1) == 0
    lines = int((root / "lines").read_text())
    assert lines > 300
    in_between = 0
    for die_at in range(1, lines + 1, EVERY):
        root = tmp_path / str(die_at)
        shutil.copytree(prepared, root)
        assert scrubbed_in_a_child(root, die_at) == -signal.SIGKILL, die_at
        house = House(root, time.time)
        in_between += judge(house, card, die_at)
        house.later()
        house.scrub.step()
        for number in (1, 2, 3):
            assert house.path(number).read_bytes() in card.values(), die_at
        assert house.states() == ["confirmed"] * 3 + ["quarantined"], die_at
        assert list(house.store.incoming.iterdir()) == []
        house.dock()
        house.send()
        assert house.states() == ["confirmed"] * 4
        assert house.path(4).read_bytes() in card.values()
        assert house.marks() == []
        house.stop()
        shutil.rmtree(root)
    assert in_between


def judge(house: House, card: dict[str, bytes], die_at: int) -> bool:
    """Whether something was half done. What the catalog does not call rotten any more is whole."""
    whole = {
        house.number(clip): house.path(house.number(clip)).is_file()
        and house.path(house.number(clip)).read_bytes() in card.values()
        for clip in house.clips()
    }
    for number in (1, 2, 3):
        assert house.at_centre(number).read_bytes() in card.values(), die_at
    marked = {house.number(mark.clip) for mark in house.marks()}
    healed = len(house.events("healed"))
    assert sum(whole[number] for number in (1, 2)) >= healed, die_at
    assert all(number in marked or not whole[number] for number in (1, 2)) or healed, die_at
    return 0 < len(marked) < 3 or healed == 1
