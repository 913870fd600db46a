"""kill -9 at each line of an erasure: nothing is gone that was not listed and safe, and the next docking ends
it."""

import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from agent.catalog import erasures
from agent.ingest import empty
from agent.privileged import erase
from tests.dockside import in_a_child
from tests.erasing import NAME, House

pytestmark = pytest.mark.usefixtures("trusted_clock")

LINES = frozenset(module.__file__ for module in (empty, erasures, erase))
#: Every line of theirs with `RECORDER_STATION_EVERY=1`.
EVERY = int(os.environ.get("RECORDER_STATION_EVERY", "17"))
HELD, FRESH = NAME.format(2, 2), NAME.format(5, 5)


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    """Four clips that the centre has, one of them held, and one that it does not have."""
    house = House(tmp_path / "prepared", time.time)
    house.record(1, 2, 3, 4, size=5000)
    house.dock()
    house.send()
    house.findings()
    [clip] = (
        house.catalog.read()
        .execute("SELECT id FROM clips WHERE CAST(path AS TEXT) LIKE '%_0002.mp4'")
        .fetchone()
    )
    house.hold("clip", str(clip))
    house.record(5, size=5000)
    house.stop()
    return house.root


def docked_in_a_child(root: Path, die_at: int) -> int:
    """The exit code: minus the signal that ended it. Beyond all lines: 0."""

    def work() -> None:
        house = reopened(root)
        trace = _tracer(die_at)
        threading.settrace(trace)
        sys.settrace(trace)
        house.dock()
        sys.settrace(None)
        threading.settrace(None)
        (root / "lines").write_text(str(_seen[0]))

    return in_a_child(work)


_seen = [0]


def _tracer(die_at: int) -> Callable[[FrameType, str, Any], Any]:
    _seen[0] = 0

    def line(frame: FrameType, event: str, argument: Any) -> Any:
        if event == "line":
            _seen[0] += 1
            if _seen[0] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
        return line

    def call(frame: FrameType, event: str, argument: Any) -> Any:
        return line if frame.f_code.co_filename in LINES else None

    return call


def reopened(root: Path) -> House:
    return House(root, time.time)


def copies(prepared: Path, folder: Path) -> Iterator[Path]:
    number = 0
    while True:
        root = folder / str(number)
        shutil.copytree(prepared, root)
        yield root
        shutil.rmtree(root)
        number += 1


def test_a_kill_at_any_line_of_an_erasure_loses_nothing_and_the_next_docking_ends_it(
    prepared: Path, tmp_path: Path
) -> None:
    card = prepared / "card"
    before = {str(path.relative_to(card)): path.read_bytes() for path in card.rglob("*.mp4")}
    fresh = copies(prepared, tmp_path)
    root = next(fresh)
    assert docked_in_a_child(root, -1) == 0
    lines = int((root / "lines").read_text())
    assert lines > 150
    cut_short = 0
    for die_at in range(1, lines + 1, EVERY):
        root = next(fresh)
        assert docked_in_a_child(root, die_at) == -signal.SIGKILL, die_at
        house = reopened(root)
        cut_short += judge(house, before)
        house.dock()
        assert set(house.files()) == {HELD, FRESH}, die_at
        assert house.open_lists() == 0
        assert house.findings() == []
        house.stop()
    assert cut_short


def judge(house: House, before: dict[str, bytes]) -> bool:
    """Whether some were gone by then and others were not."""
    here = house.files()
    assert all(before[path] == data for path, data in here.items())
    gone = before.keys() - here.keys()
    listed = {
        os.fsdecode(row[0])
        for row in house.catalog.read().execute("SELECT path FROM names JOIN doomed ON name = names.id")
    }
    centre = {path.read_bytes() for path in (house.root / "share" / "clips").rglob("*.mp4")}
    assert gone <= listed and not gone & {HELD, FRESH}
    assert {before[path] for path in gone} <= centre
    return 0 < len(gone) < 3
