"""The real thing, as far as this machine has it: block devices, the kernel's events, udevd, mount(2)."""

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.dock.board import Board
from agent.dock.dock import Dock
from agent.dock.docking import Docking, Tools
from agent.dock.events import Arrived, Event
from agent.dock.hotplug import UdevSource
from agent.dock.mounts import Mounts
from agent.model import Device, DeviceKind, Reporter, SlotState, SlotStatus
from agent.privileged import mounting
from agent.privileged.verbs import InProcess
from drivers.base import Session
from drivers.registry import best
from tests.dock_house import PATIENCE, Settings
from tests.here import require
from tests.loops import (
    MIB,
    NEEDS,
    TAG,
    Make,
    Recorder,
    folder,
    mounted,
    partition,
    recorder,
    run,
    turn,
    udev,
    when,
)

require(*NEEDS)
__all__ = ["folder", "recorder", "turn", "udev"]  # fixtures of this module


@dataclass
class Station:
    """A dock at real ports whose `collect` lists the files."""

    board: Board
    source: UdevSource
    mounts: Path
    listed: dict[str, list[list[str]]] = field(default_factory=dict)
    dockings: list[Docking] = field(default_factory=list)
    mounted_as: list[str] = field(default_factory=list)

    def collect(self, session: Session, docking: Docking, reporter: Reporter) -> bool:
        reporter.identified(session.identity())
        names = sorted(clip.path for clip in session.clips())
        reporter.listed(len(names), 0)
        mounts = Path("/proc/self/mounts").read_text().splitlines()
        self.mounted_as += [line for line in mounts if line.startswith(docking.device.node + " ")]
        self.dockings.append(docking)
        self.listed.setdefault(docking.slot, []).append(names)
        reporter.finished(len(names))
        return True

    def until(self, recorder: Recorder, *states: SlotState) -> SlotStatus:
        found: list[SlotStatus] = []

        def said() -> bool:
            slots = [s for s in self.board.snapshot() if s.slot == recorder.slot and s.state in states]
            found.extend(slots)
            return bool(slots)

        when(said, self.board.snapshot)
        return found[0]


@contextmanager
def docked(folder: Path, **source: float) -> Iterator[Station]:
    board, mounts = Board(), folder / "mounts"
    settings = Settings(mounts=mounts)
    station = Station(board, UdevSource(TAG, **source), mounts)  # type: ignore[arg-type]
    lender = Mounts(InProcess(mounts, TAG))
    tools = Tools(board, lender, best, station.collect, grace=1.0)
    dock = Dock(lambda: settings, [station.source], lender, tools)
    dock.start()
    try:
        yield station
    finally:
        assert dock.stop(PATIENCE) == []
        assert mounting.mounted_below(mounts) == []


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with docked(tmp_path) as built:
        assert built.source.alive()
        yield built


def test_a_recorder_is_noticed_mounted_read_only_and_released_untouched(
    station: Station, recorder: Make
) -> None:
    one = recorder("a.mp4", "b.mp4")
    before = one.digest()
    one.plug()
    station.until(one, SlotState.COLLECTED)
    slot = one.slot
    assert station.listed[slot] == [["a.mp4", "b.mp4"]]
    (mounted,) = station.mounted_as
    options = mounted.split()[3].split(",")
    assert {"ro", "nosuid", "nodev", "noexec", "norecovery"} <= set(options)
    assert list(station.mounts.iterdir()) == []
    assert run("blockdev", "--getro", one.node) == "1"
    run("losetup", "--detach", one.node)
    assert station.until(one, SlotState.EMPTY).problems == ()
    run("blockdev", "--setrw", one.node)
    one.node = ""
    assert one.digest() == before


def test_eight_recorders_at_once_each_have_their_slot(station: Station, recorder: Make) -> None:
    eight = [recorder(f"{i}.mp4") for i in range(8)]
    before = [one.digest() for one in eight]
    threads = [threading.Thread(target=one.plug) for one in eight]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, one in enumerate(eight):
        station.until(one, SlotState.COLLECTED)
        assert station.listed[one.slot] == [[f"{i}.mp4"]]
    assert [one.digest() for one in eight] == before


def test_a_recorder_docked_before_the_start_is_collected(tmp_path: Path, recorder: Make) -> None:
    one = recorder("a.mp4")
    one.plug()
    run("udevadm", "settle")
    with docked(tmp_path) as station:
        station.until(one, SlotState.COLLECTED)


def test_a_disk_without_file_system_says_so(station: Station, recorder: Make) -> None:
    one = recorder()
    one.plug()
    (problem,) = station.until(one, SlotState.FAILED).problems
    assert problem.key == "no-file-system"


def test_an_unknown_file_system_is_named(station: Station, recorder: Make) -> None:
    one = recorder()
    run("mkswap", one.image)
    one.plug()
    (problem,) = station.until(one, SlotState.FAILED).problems
    assert (problem.key, problem.params) == ("unknown-file-system", {"fs_type": "swap"})


def test_a_recorder_that_gets_a_file_system_later_is_collected(station: Station, recorder: Make) -> None:
    one = recorder()
    one.plug()
    station.until(one, SlotState.FAILED)
    run("mke2fs", "-q", "-F", "-t", "ext4", one.node)
    run("udevadm", "trigger", "--settle", one.node)  # udevd's own look at what was written may come late
    station.until(one, SlotState.COLLECTED)


def test_partitions_of_one_recorder_are_one_docking(station: Station, recorder: Make) -> None:
    one = recorder(size=20 * MIB)
    partition(one.image, recorder("a.mp4"), recorder("b.mp4"))
    before = one.digest()
    one.plug()
    for number in (1, 2):
        if not Path(f"{one.node}p{number}").exists():  # a kernel that does not read this kind of table
            run("addpart", one.node, number, number * 8 * MIB // 512 - 8 * MIB // 512 + 2048, 8 * MIB // 512)
    station.until(one, SlotState.COLLECTED)
    assert sorted(station.listed[one.slot]) == [["a.mp4"], ["b.mp4"]]
    assert len({docking.id for docking in station.dockings}) == 1
    assert one.digest() == before


def test_the_journal_of_a_recorder_that_was_pulled_while_writing_is_not_replayed(
    station: Station, recorder: Make, tmp_path: Path
) -> None:
    pulled, writing, point = recorder("a.mp4", size=16 * MIB), Recorder(tmp_path / "writing"), tmp_path / "m"
    writing.image.write_bytes(pulled.image.read_bytes())
    writing.plug()  # outside the folder that the rule speaks of
    try:
        with mounted(writing.node, point):
            (point / "b.mp4").write_bytes(bytes(MIB))
            run("sync", "-f", point)
            pulled.image.write_bytes(writing.image.read_bytes())
    finally:
        writing.pull()
    assert "needs_recovery" in run("dumpe2fs", "-h", pulled.image)
    before = pulled.digest()
    pulled.plug()
    station.until(pulled, SlotState.COLLECTED)
    assert pulled.digest() == before


def test_a_disk_that_the_machine_uses_itself_is_left_alone(tmp_path: Path, recorder: Make) -> None:
    own = recorder("a.mp4")
    own.plug()
    point = tmp_path / "own"
    with mounted(own.node, point):
        with docked(tmp_path) as station:
            (problem,) = station.until(own, SlotState.FAILED).problems
        assert problem.key == "mount-failed"
        assert run("blockdev", "--getro", own.node) == "0"
        (point / "still writable").write_text("yes")


def test_mounts_of_an_agent_that_was_killed_are_ended_at_the_start(tmp_path: Path, recorder: Make) -> None:
    one = recorder("a.mp4")
    one.plug()
    left = tmp_path / "mounts"
    (left / "dead-loop").mkdir(parents=True)
    run("mount", "-o", "ro,noload", one.node, left / "dead-loop")
    (left / "dead-before-its-mount").mkdir()
    with docked(tmp_path) as station:
        station.until(one, SlotState.COLLECTED)
        assert list(left.iterdir()) == []


def test_a_volume_is_present_until_it_is_gone_and_not_when_another_has_its_node(
    tmp_path: Path, recorder: Make
) -> None:
    one, other = recorder("a.mp4"), recorder("b.mp4")
    one.examined()
    node = one.node
    device = Device(node, DeviceKind.VOLUME, one.slot, sysfs=str(one.sysfs), fs_type="ext4")
    with Mounts(InProcess(tmp_path / "mounts", TAG)).lend(device, "d", lambda: None) as port:
        assert port.present()
        assert list(port.path.iterdir())
    one.pull()
    when(lambda: not port.present())  # udevd may look at it still
    run("losetup", node, other.image)
    other.node = node
    assert not port.present()


def test_lost_events_are_made_up_for(recorder: Make, caplog: pytest.LogCaptureFixture) -> None:
    """The observer does not read while events overflow its buffer: it must notice, and look for itself."""
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    blocked, go_on = threading.Event(), threading.Event()

    def put(event: Event) -> None:
        events.put(event)
        blocked.set()
        go_on.wait(PATIENCE)

    source = UdevSource(TAG, buffer=4096)
    source.start(put)
    first, second = recorder("a.mp4"), recorder("b.mp4")
    try:
        first.plug()
        assert blocked.wait(PATIENCE)
        for _ in range(50):
            run("udevadm", "trigger", first.node)
        run("udevadm", "settle")
        second.plug()
        run("udevadm", "settle")
        go_on.set()
        when(lambda: "starting another" in caplog.text)
        seen: set[str] = set()
        while seen < {first.node, second.node}:
            event = events.get(timeout=PATIENCE)
            assert isinstance(event, Arrived)
            seen.add(event.device.node)
    finally:
        go_on.set()
        source.stop()
