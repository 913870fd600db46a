"""What goes wrong at a slot or at the centre stays there: the daemon goes on with all the rest."""

import errno
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.upload.targets.folder import MARK
from tests.agent_process import Agent, Systemd, slot
from tests.crash.rack import clip_files, digest
from tests.here import require

MIB = 1 << 20
PROMISED_STOP = 15.0  # seconds; the agent promises ten


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(tmp_path) as agent:
        yield agent


def recorders(agent: Agent, *numbers: str) -> None:
    for number in numbers:
        agent.recorder(number)
        agent.dock(number)


def at(folder: Path, recorder: str) -> list[str]:
    """Digests of the clips of a recorder at the centre or in the store."""
    return sorted(map(digest, clip_files(folder / "clips" / recorder)))


def on(recorder: Path) -> list[str]:
    return sorted(map(digest, clip_files(recorder)))


def test_without_a_data_disk_nothing_is_collected_and_every_slot_says_so(tmp_path: Path) -> None:
    """A clip in memory would be called stored and be gone after a power cut."""
    stand_in = tmp_path / "stand-in"
    patch = (
        "import pathlib; from agent import booted\n"
        f"booted.data_problem = lambda _: 'damaged'; booted.STAND_IN = pathlib.Path({str(stand_in)!r})\n"
    )
    with Agent(tmp_path, patch=patch) as agent:
        recorders(agent, "0000001")
        agent.up()
        shown = agent.until_slot("0000001", "failed")
        assert [problem["key"] for problem in shown["problems"]] == ["no-data-disk"]
        assert (shown["files_done"], shown["files_total"]) == (0, 0)
        status = agent.until(lambda status: status if status["health"] else None)
        assert status is not None
        assert status["health"][0]["key"] == "data-disk-damaged"
        assert set(status["clips"].values()) == {0}
        assert not agent.store.exists()
        assert list(clip_files(stand_in / "clips")) == []


def test_a_recorder_that_hangs_is_stuck_in_its_own_slot_only(tmp_path: Path) -> None:
    """And the station beats on, ends in time, and collects that recorder once it reads again."""
    with Systemd(tmp_path) as systemd, Agent(tmp_path, dock={"stuck_after": "2 s"}) as agent:
        agent.environment = systemd.environment(watchdog=1.5)
        agent.recorder("0000001", letters="H")
        agent.dock("0000001")
        agent.up()
        recorders(agent, "0000002", "0000003")
        (problem,) = agent.until_slot("0000001", "stuck")["problems"]
        assert problem["key"] == "stuck"
        for other in ("0000002", "0000003"):
            assert agent.until_slot(other, "collected")["problems"] == []
        agent.until(lambda status: status["clips"]["confirmed"] == 12)
        systemd.until("WATCHDOG=1", after=len(systemd.heard()), times=2)
        agent.stop(within=PROMISED_STOP)  # by force, as far as the hanging thread goes
        (agent.rack / "0000001" / ".faults.yaml").unlink()
        agent.up()
        agent.until_slot("0000001", "collected")
        agent.until_confirmed(18)


def test_a_stuck_recorder_that_is_pulled_frees_its_slot(tmp_path: Path) -> None:
    with Agent(tmp_path, dock={"stuck_after": "2 s"}) as agent:
        agent.recorder("0000001", letters="H")
        agent.recorder("0000002")
        agent.dock("0000001", "A")
        agent.up().until_slot("A", "stuck")
        agent.pull("A", "0000001")
        agent.until_slot("A", "empty")
        agent.dock("0000002", "A")
        assert agent.until_slot("A", "collected")["recorder"] == "0000002"
        assert agent.stop(within=PROMISED_STOP) == 0


def test_a_pulled_recorder_goes_on_in_another_slot(agent: Agent) -> None:
    agent.recorder("0000001", clips=1, size=30 * MIB, letters="R")
    agent.dock("0000001", "A")
    agent.up()
    recorders(agent, "0000002")
    agent.until(lambda status: (shown := slot(status, "A")) and shown["bytes_done"] > 12 * MIB)
    agent.pull("A", "0000001")
    (problem,) = agent.until(lambda status: (slot(status, "A") or {"problems": []})["problems"])
    assert (problem["key"], problem["params"]) == ("pulled-early", {"files": 1})
    assert agent.until_slot("A", "empty")
    agent.until_slot("0000002", "collected")
    agent.until(lambda status: status["clips"]["copying"] == 0)
    (begun,) = (agent.store / "incoming").glob("*.part")
    before = begun.stat()
    assert before.st_size > 8 * MIB
    agent.dock("0000001", "B")
    agent.until_slot("B", "collected")
    agent.until_confirmed(7)
    assert at(agent.centre, "0000001") == on(agent.rack / "B")
    (stored,) = clip_files(agent.store / "clips" / "0000001")
    assert stored.stat().st_ino == before.st_ino  # the copy that was begun, not another one


@pytest.mark.parametrize(
    "faults", ["files: {DCIM/a.mp4: rZr}\n", "fils: {}\n", "files: [\n"], ids=["letter", "key", "YAML"]
)
def test_a_recorder_that_cannot_be_understood_fails_in_its_own_slot(agent: Agent, faults: str) -> None:
    agent.recorder("0000001")
    (agent.shelf / "0000001" / ".faults.yaml").write_text(faults)
    agent.dock("0000001")
    agent.up()
    recorders(agent, "0000002")
    (problem,) = agent.until_slot("0000001", "failed")["problems"]
    assert problem["key"] == "config"
    agent.until_slot("0000002", "collected")
    agent.until_confirmed(6)


def test_a_lost_catalog_is_rebuilt_and_the_recorder_brings_nothing_new(agent: Agent) -> None:
    files = agent.recorder("0000001")
    shutil.copy(agent.shelf / "0000001" / files[0], (agent.shelf / "0000001" / files[0]).with_stem("twin"))
    agent.dock("0000001")
    agent.up().until_slot("0000001", "collected")
    agent.until_confirmed(6)
    assert agent.stop() == 0
    before = {path: path.stat().st_mtime_ns for path in clip_files(agent.centre)}
    shutil.rmtree(agent.store / "catalog")
    refused = agent.run("run")
    assert refused.returncode == 1
    assert "recorder-station catalog rebuild" in refused.stderr
    rebuilt = agent.run("catalog", "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert rebuilt.stdout.endswith("\n6 clips restored, 0 files could not be used\n")
    agent.up()
    agent.until_confirmed(6)
    shown = agent.until_slot("0000001", "collected")
    assert (shown["files_total"], shown["bytes_total"]) == (0, 0)
    assert {path: path.stat().st_mtime_ns for path in clip_files(agent.centre)} == before
    assert sorted(clip["state"] for clip in agent.clips()) == [*["confirmed"] * 6, "merged"]


def test_a_centre_that_is_gone_is_told_and_collecting_goes_on_until_it_is_back(agent: Agent) -> None:
    """A share that is not mounted leaves an empty folder, and nothing may be put there."""
    agent.up()
    recorders(agent, "0000001")
    agent.until_confirmed(6)
    away = agent.centre.with_name("away")
    agent.centre.rename(away)
    recorders(agent, "0000002")
    agent.until_slot("0000002", "collected")
    assert agent.until_issue("target-not-mounted")["target"] == "centre"
    agent.centre.mkdir()
    recorders(agent, "0000003")
    agent.until_slot("0000003", "collected")
    assert agent.stop() == 0
    before = len(agent.log.read_text())
    agent.up()  # also one that never saw the centre
    agent.until(lambda _: "target-not-mounted" in agent.log.read_text()[before:])
    assert list(agent.centre.iterdir()) == []
    agent.centre.rmdir()
    away.rename(agent.centre)
    agent.until_confirmed(18)
    assert (agent.centre / MARK).exists()
    for number in ("0000001", "0000002", "0000003"):
        assert at(agent.centre, number) == on(agent.rack / number)
    agent.until(lambda status: "target-not-mounted" not in {issue["key"] for issue in status["health"]})


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    require("root", "tmpfs")
    point = tmp_path / "small"
    point.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", point], check=True)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def test_a_full_centre_is_told_and_another_one_takes_what_waits(small_disk: Path, tmp_path: Path) -> None:
    full = {"kind": "folder", "path": str(small_disk)}
    other = {"kind": "folder", "path": str(tmp_path / "x"), "local": True}
    (tmp_path / "x").mkdir()
    with Agent(tmp_path) as agent:
        agent.config["targets"] = {"full": full}
        agent.write_config()
        agent.up()
        agent.recorder("0000001", clips=9, size=600_000)
        agent.dock("0000001")
        assert agent.until_issue("target-full")["target"] == "full"
        agent.until_slot("0000001", "collected")
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            (small_disk / "more").write_bytes(bytes(2 * MIB))
        agent.config["targets"] = {"other": other}
        agent.write_config()
        agent.until(lambda status: status["clips"]["confirmed"] == 9)
        agent.until(lambda status: "target-full" not in {issue["key"] for issue in status["health"]})
        there = at(small_disk, "0000001") + at(tmp_path / "x", "0000001")
        assert set(there) == set(on(agent.rack / "0000001"))
        agent.stop()


def test_a_full_store_is_told_and_what_was_collected_is_sent(small_disk: Path, tmp_path: Path) -> None:
    subprocess.run(["mount", "-o", "remount,size=6m", small_disk], check=True)
    with Agent(tmp_path, store={"path": str(small_disk / "store")}) as agent:
        agent.up()
        agent.recorder("0000001", clips=12, size=MIB)
        agent.dock("0000001")
        shown = agent.until_slot("0000001", "incomplete")
        assert "store-full" in {problem["key"] for problem in shown["problems"]}
        agent.until(lambda status: status["queue"]["clips"] == 0 and status["clips"]["confirmed"] > 0)
        assert set(at(agent.centre, "0000001")) < set(on(agent.rack / "0000001"))
        agent.until_issue("store-full")
        subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
        agent.until_slot("0000001", "collected")
        agent.until_confirmed(12)
        assert agent.stop() == 0
