"""The agent without any right collects at real ports: only the helper is root."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.privileged import mounting
from agent.privileged.client import Helper
from agent.privileged.verbs import Doomed
from tests import unprivileged
from tests.agent_process import Agent
from tests.crash.rack import clip_files
from tests.here import require
from tests.loops import MIB, NEEDS, Make, folder, recorder, run, turn, udev
from tests.system.test_agent_loop import arrived, card, plug_at_once
from tests.unprivileged import NOBODY, Place

require(*NEEDS, "unshare", "systemd-analyze", "seccomp")
__all__ = ["folder", "recorder", "turn", "udev"]  # fixtures of this module


@pytest.fixture
def place() -> Iterator[Place]:
    with unprivileged.place() as made:
        try:
            yield made
        finally:
            for point in mounting.mounted_below(made.mounts):
                run("umount", point)


@pytest.fixture
def agent(place: Place) -> Iterator[Agent]:
    with unprivileged.agent(place) as made:
        yield made


@pytest.fixture
def helper(place: Place) -> Iterator[subprocess.Popen[bytes]]:
    with unprivileged.helper(place) as process:
        yield process


def said_of(pid: int) -> dict[str, list[str]]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.split() for name, _, value in (line.partition(":") for line in lines)}


def test_an_agent_without_any_right_collects_confirms_and_lets_go(
    agent: Agent, helper: object, place: Place, recorder: Make
) -> None:
    cards = [card(agent, recorder, f"000000{i}", clips=3, size=5 * MIB) for i in (1, 2)]
    before = [one.digest() for one in cards]
    agent.up()
    own = said_of(agent.pid)
    assert own["Uid"] == [str(NOBODY)] * 4
    assert (own["NoNewPrivs"], own["Seccomp"]) == (["1"], ["2"])
    assert {int(own[name][0], 16) for name in ("CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert Path(f"/proc/{agent.pid}/ns/mnt").readlink() != Path("/proc/self/ns/mnt").readlink()
    plug_at_once(cards)
    for one in cards:
        shown = agent.until_slot(one.slot, "collected", "incomplete", "failed")
        assert (shown["state"], shown["problems"]) == ("collected", [])
        assert run("blockdev", "--getro", one.node) == "1"
    agent.until_confirmed(6)
    assert arrived(agent)
    assert mounting.mounted_below(place.mounts) == []
    assert [one.digest() for one in cards] == before
    assert agent.stop() == 0
    calls = (place.folder / "helper.log").read_text().splitlines()
    assert sum(f"uid={NOBODY}" in call and f" mount {cards[0].slot}:" in call for call in calls) == 1


def test_what_its_user_may_not_read_is_shown_and_never_passed_over(
    agent: Agent, helper: object, recorder: Make, tmp_path: Path
) -> None:
    one = recorder("a.mp4", "b.mp4", "secret.mp4")
    for done in (
        "mkdir hidden",
        "mkdir half",
        "write /etc/hostname half/c.mp4",
        "set_inode_field secret.mp4 mode 0100600",
        "set_inode_field hidden mode 040700",
        "set_inode_field half mode 040744",
    ):
        run("debugfs", "-w", "-R", done, one.image)
    run("e2label", one.image, "0000041")
    agent.up()
    one.plug()
    shown = agent.until_slot(one.slot, "incomplete")
    assert (shown["files_done"], shown["files_total"]) == (2, 3)
    assert sorted(problem["key"] for problem in shown["problems"]) == [
        "unreadable-entry",
        "unreadable-entry",
        "unreadable-folder",
    ]
    assert sorted(path.name[:2] for path in clip_files(agent.store / "clips")) == ["a.", "b."]


def test_without_its_helper_the_agent_runs_and_says_what_is_missing(agent: Agent, recorder: Make) -> None:
    agent.up()
    one = recorder("a.mp4")
    one.plug()
    (problem,) = agent.until_slot(one.slot, "failed")["problems"]
    assert "the root helper does not answer" in problem["params"]["reason"]


def test_after_a_kill_in_the_middle_the_helper_ends_the_mounts(
    agent: Agent, helper: object, place: Place, recorder: Make
) -> None:
    one = card(agent, recorder, "0000031", clips=2, size=40 * MIB)
    agent.up()
    one.plug()
    agent.until(lambda _: mounting.mounted_below(place.mounts))
    agent.kill()
    stale = mounting.mounted_below(place.mounts)
    agent.up()
    agent.until_slot(one.slot, "collected")
    agent.until_confirmed(2)
    assert not set(stale) & set(mounting.mounted_below(place.mounts))
    assert arrived(agent)


def test_the_helper_does_its_verbs_with_the_rights_that_its_unit_leaves_it(
    helper: subprocess.Popen[bytes], place: Place, recorder: Make
) -> None:
    """Also erase, with the check of the file system before it."""
    own = said_of(helper.pid)
    assert (own["NoNewPrivs"], own["Seccomp"]) == (["1"], ["2"])
    assert int(own["CapEff"][0], 16).bit_count() == 4
    one = recorder("a.mp4", "b.mp4")
    for done in (
        "mkdir closed",
        "write /etc/hostname closed/c.mp4",
        "set_inode_field closed uid 1000",
        "set_inode_field closed mode 040500",
        "set_inode_field closed/c.mp4 uid 1000",
    ):
        run("debugfs", "-w", "-R", done, one.image)
    call = Helper(place.socket)
    path = call.mount(one.examined().volume()).path
    names = ("a.mp4", "closed/c.mp4")
    doomed = [Doomed(name, (at := (path / name).stat()).st_size, at.st_mtime_ns) for name in names]
    assert [fate.outcome for fate in call.erase(path, doomed)] == ["erased", "erased"]
    assert [each.name for each in path.glob("**/*.mp4")] == ["b.mp4"]
    assert call.mounted() == [path]
    call.unmount(path)
    assert call.mounted() == []
    assert run("blockdev", "--getro", one.node) == "1"
