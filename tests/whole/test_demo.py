"""The demo as a newcomer runs it, and its judge, who must not be fooled."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.model import ClipState
from scripts.demo import Summary, judge
from scripts.demo_rack import make_recorder
from scripts.demo_station import Station

ROOT = Path(__file__).parents[2]


def demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-P", "-m", "scripts.demo", *arguments],
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_one_command_docks_recorders_and_ends_with_every_clip_at_the_centre(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    ran = demo("--once", "--json", "--recorders=3", "--clips=6", "--size=300KiB", "--keep", str(kept))
    assert ran.returncode == 0, ran.stderr
    summary = json.loads(ran.stdout)
    assert (summary["recorders"], summary["clips"], summary["confirmed"]) == (3, 18, 18)
    assert summary["quarantined"] == 0
    assert summary["bytes"] == sum(f.stat().st_size for f in kept.glob("rack/*/DCIM/*/*"))
    assert summary["seconds"] > 0


def test_a_folder_that_is_there_already_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    ran = demo("--once", "--keep", str(tmp_path))
    assert ran.returncode == 1
    assert "--keep wants a new folder" in ran.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """Every clip of a docked recorder lies at the centre, with a manifest."""
    station = Station(tmp_path)
    for clip in make_recorder(station.rack / "slot-01", clips=3, size=50_000):
        shutil.copy(station.rack / "slot-01" / clip, station.centre / f"{clip.name}.of-the-centre")
        (station.centre / f"{clip.name}.json").write_text("{}")
    return station


def at_the_centre(station: Station) -> Path:
    return next(station.centre.glob("*.of-the-centre"))


def test_the_judge_counts_what_is_equal(station: Station) -> None:
    verdict = station.verdict()
    assert (verdict.clips, verdict.confirmed) == (3, 3)
    assert verdict.bytes == sum(f.stat().st_size for f in station.rack.glob("*/DCIM/*/*"))


def test_the_judge_sees_one_flipped_bit(station: Station) -> None:
    data = bytearray(at_the_centre(station).read_bytes())
    data[len(data) // 2] ^= 1
    at_the_centre(station).write_bytes(data)
    assert station.verdict().confirmed == 2


def test_the_judge_misses_a_lost_clip(station: Station) -> None:
    at_the_centre(station).unlink()
    assert station.verdict().confirmed == 2


def test_the_judge_sees_a_clip_that_lies_there_twice(station: Station) -> None:
    shutil.copy(at_the_centre(station), station.centre / "again")
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
