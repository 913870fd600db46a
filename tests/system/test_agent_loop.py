"""The same daemon at real ports: block devices from udev, mounted by the kernel, copied, confirmed, let go.

Loop devices with ext4 stand for recorders, as in `test_loop_hotplug`.
"""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.privileged import mounting
from scripts.demo_rack import make_recorder
from tests.agent_process import PATIENCE, Agent
from tests.crash.rack import clip_files, digest
from tests.here import require
from tests.loops import MIB, NEEDS, TAG, Make, Recorder, folder, recorder, run, turn, udev

require(*NEEDS)
__all__ = ["folder", "recorder", "turn", "udev"]  # fixtures of this module


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(tmp_path, dock={"udev": True, "tag": TAG}) as agent:
        del agent.config["dock"]["simulated_rack"]
        agent.write_config()
        try:
            yield agent
        finally:
            agent.kill()
            for point in mounted(agent):
                mounting.unmount(point)


def mounted(agent: Agent) -> list[Path]:
    return mounting.mounted_below(Path(agent.config["dock"]["mounts"]))


def card(agent: Agent, make: Make, number: str, clips: int, size: int) -> Recorder:
    """A recorder that is not plugged in; its files stay in the rack's folder, to be compared."""
    files = agent.rack / number
    make_recorder(files, number=number, clips=clips, size=size)
    (files / ".recorder.yaml").unlink()
    made = make(size=clips * size + 24 * MIB)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-L", number, "-d", files, made.image)
    return made


def arrived(agent: Agent) -> bool:
    """The centre has every clip of every recorder once, byte for byte."""
    there = sorted(map(digest, clip_files(agent.centre / "clips")))
    return there == sorted(map(digest, clip_files(agent.rack)))


def plug_at_once(cards: list[Recorder]) -> None:
    threads = [threading.Thread(target=one.plug) for one in cards]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def freeze_while_copying(agent: Agent) -> None:
    """A recorder is mounted and a clip of it half-way."""

    def half_way() -> bool:
        return bool(mounted(agent)) and any((agent.store / "incoming").glob("*.part"))

    end = time.monotonic() + PATIENCE
    while True:
        assert time.monotonic() < end, agent.last_words()
        if half_way():
            agent.freeze()
            if half_way():
                return
            agent.thaw()
        time.sleep(0.001)


def test_recorders_are_collected_confirmed_and_released_untouched(agent: Agent, recorder: Make) -> None:
    cards = {f"000000{i}": card(agent, recorder, f"000000{i}", clips=5, size=9 * MIB) for i in range(1, 5)}
    before = {number: one.digest() for number, one in cards.items()}
    agent.up()
    for again in (False, True):
        plug_at_once(list(cards.values()))
        for number, one in cards.items():
            shown = agent.until_slot(one.slot, "collected")
            assert shown["recorder"] == number
            assert shown["files_total"] == (0 if again else 5)
            assert run("blockdev", "--getro", one.node) == "1"
        agent.until_confirmed(20)
        assert mounted(agent) == []
        assert {number: one.digest() for number, one in cards.items()} == before
        for one in cards.values():
            place = one.slot
            one.pull()
            assert agent.until_slot(place, "empty")["problems"] == []
    assert arrived(agent)
    assert agent.stop() == 0


def test_after_a_kill_in_the_middle_stale_mounts_are_ended_and_it_goes_on(
    agent: Agent, recorder: Make
) -> None:
    cards = [card(agent, recorder, f"000001{i}", clips=2, size=40 * MIB) for i in range(2)]
    before = [one.digest() for one in cards]
    agent.up()
    plug_at_once(cards)
    freeze_while_copying(agent)
    agent.kill()
    stale = mounted(agent)
    assert stale
    agent.up()
    assert not set(stale) & set(mounted(agent))
    for one in cards:
        agent.until_slot(one.slot, "collected")
    agent.until_confirmed(4)
    assert mounted(agent) == []
    assert arrived(agent)
    assert [one.digest() for one in cards] == before


def test_a_stop_in_the_middle_unmounts(agent: Agent, recorder: Make) -> None:
    one = card(agent, recorder, "0000021", clips=2, size=40 * MIB)
    agent.up()
    one.plug()
    freeze_while_copying(agent)
    agent.thaw()
    assert agent.stop() == 0
    assert mounted(agent) == []
    agent.up()
    agent.until_slot(one.slot, "collected")
    agent.until_confirmed(2)
    assert arrived(agent)
