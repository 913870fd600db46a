"""A whole station whose disk is full: it says so to who comes, finishes who is there, and needs nobody's hand
when there is room again."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.status.shape import StatusShape
from tests.agent_process import Agent, order_faults, slot
from tests.crash.rack import clip_files, digest
from tests.here import require

MIB = 1 << 20
RESERVE = 8 * MIB
#: A clock that a time service keeps, and a look every moment; a recorder is tried again soon.
SOON = """
from agent import clock
from agent.dock import docking
from agent.dock import worker as slots
from agent.retention import worker
clock.synchronised = lambda: True
worker.SOON, worker.EVERY = 0.5, 3600.0
worker._REST = 0.2
first, grace, _, *rest = docking.Tools.__init__.__defaults__
docking.Tools.__init__.__defaults__ = (first, grace, 0.5, *rest)
slots.longer = lambda wait: wait
"""
NAMED = ("--name", "王伟", "--reason", "复核第十二号", "--lang", "en")
RETENTION = {"release": True, "grace": "0 s", "room": 0, "two_persons": False}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    require("root", "tmpfs")
    point = tmp_path / "small"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def fill(disk: Path, room: int) -> None:
    """Leave `room` bytes above the reserve."""
    figures = os.statvfs(disk)
    with (disk / "filler").open("wb") as file:
        file.write(bytes(figures.f_frsize * figures.f_bavail - RESERVE - room))


def problems(status: StatusShape, name: str) -> set[str]:
    shown = slot(status, name)
    return {problem["key"] for problem in shown["problems"]} if shown else set()


def state(status: StatusShape, name: str) -> str:
    shown = slot(status, name)
    return shown["state"] if shown else ""


def at(folder: Path, recorder: str) -> list[str]:
    """Digests of its clips: on itself in the rack, at the centre, or in the store."""
    place = folder / recorder if folder.name == "rack" else folder / "clips" / recorder
    return sorted(map(digest, clip_files(place)))


def test_who_is_refused_is_collected_by_itself_once_something_may_go(disk: Path, tmp_path: Path) -> None:
    store = {"path": str(disk / "store"), "reserve": f"{RESERVE} B"}
    with Agent(tmp_path, patch=SOON, store=store, retention=RETENTION) as agent:
        agent.up()
        for number in ("0000001", "0000002"):
            assert agent.run("hold", "set", "--recorder", number, *NAMED).returncode == 0
        agent.recorder("0000001", clips=8, size=MIB)
        agent.dock("0000001")
        agent.until_confirmed(8)

        fill(disk, 8 * MIB)
        files = agent.recorder("0000002", clips=6, size=MIB)
        order_faults(agent.shelf / "0000002", files, "R", block=32 << 10)
        agent.dock("0000002")
        agent.until_slot("0000002", "collecting")
        agent.recorder("0000003", clips=2, size=4 * MIB)
        agent.dock("0000003")
        agent.until(lambda status: "no-room" in problems(status, "0000003"))
        assert state(agent.until(lambda status: status), "0000002") == "collecting"
        assert agent.until_issue("store-full")["kind"] == "nothing-goes"

        shown = agent.until(lambda status: status if state(status, "0000002") == "collected" else None)
        assert shown is not None
        assert problems(shown, "0000002") == set()
        agent.until_confirmed(14)
        assert at(agent.centre, "0000002") == at(agent.rack, "0000002")
        assert at(disk / "store", "0000003") == []

        first = json.loads(agent.run("hold", "list", "--json").stdout)[0]["hold"]
        assert agent.run("hold", "lift", str(first), *NAMED).returncode == 0
        agent.until_slot("0000003", "collected")
        agent.until(lambda status: status["queue"]["clips"] == 0)
        assert at(agent.centre, "0000003") == at(agent.rack, "0000003")
        gone = {clip["recorder"] for clip in agent.clips() if clip["state"] == "released"}
        assert "0000001" in gone
        assert "0000002" not in gone  # it is held; without a grace, what has just come may go, too
        agent.until(lambda status: "store-full" not in {issue["key"] for issue in status["health"]})
        assert agent.stop() == 0
