"""The real thing, as far as this machine has it: block devices, the kernel's events, udevd, mount(2).

Loop devices stand for recorders. A temporary rule gives them our tag and the ID_PATH of a USB port, only
to those whose image lies in this test's folder: other loop devices of the machine are left alone.
"""

import contextlib
import fcntl
import hashlib
import os
import queue
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
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
from agent.privileged import verbs
from drivers.base import Session
from drivers.registry import best
from tests.dock_house import PATIENCE, Settings
from tests.here import UDEVD, require

require("root", "loop", "ext4", "udevd", "udev-netlink")

TAG = "recorder-station-test"
RULES = Path(f"/run/udev/rules.d/61-recorder-station-test-{os.getpid()}.rules")
MIB = 1 << 20


@pytest.fixture(scope="module", autouse=True)
def turn() -> Iterator[None]:
    """udevd is one for the machine: two runs of these tests take turns."""
    with Path("/run/lock/recorder-station-test").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout.strip()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hotplug")


@pytest.fixture(scope="module", autouse=True)
def udev(turn: None, folder: Path) -> Iterator[None]:
    """udevd with our rule; one that runs already is used and left running."""
    image = f'ATTRS{{loop/backing_file}}=="{folder}/*", TAG+="{TAG}"'
    RULES.parent.mkdir(parents=True, exist_ok=True)
    RULES.write_text(
        f'SUBSYSTEM=="block", ENV{{DEVTYPE}}=="disk", {image}, ENV{{ID_PATH}}="{path_of("%n")}"\n'
        f'SUBSYSTEM=="block", ENV{{DEVTYPE}}=="partition", {image}, IMPORT{{parent}}="ID_PATH"\n'
    )
    # One that runs already is used: a second one would undo what the first does with an event.
    ours = None if running() else subprocess.Popen(["setpriv", "--pdeathsig", "TERM", UDEVD])
    try:
        when(lambda: subprocess.run(["udevadm", "control", "--ping"], capture_output=True).returncode == 0)
        run("udevadm", "control", "--reload")
        yield
    finally:
        RULES.unlink(missing_ok=True)
        if ours is None:
            run("udevadm", "control", "--reload")
        else:
            ours.terminate()
            ours.wait(PATIENCE)
            Path("/run/udev/control").unlink(missing_ok=True)


def running() -> bool:
    """Whether there is a udevd, even one too busy to answer. One that has ended has no command line."""
    lines = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            lines.append(process.read_bytes())
    return any(line.startswith(os.fsencode(UDEVD)) for line in lines)


def path_of(number: str) -> str:
    return f"platform-test-usb-0:{number}:1.0-scsi-0:0:0:0"


def when(said: Callable[[], object], shown: Callable[[], object] = lambda: "") -> None:
    end = time.monotonic() + PATIENCE
    while not said():
        assert time.monotonic() < end, shown()
        time.sleep(0.02)


@dataclass
class Recorder:
    """An image file in a loop device."""

    image: Path
    node: str = ""

    @property
    def slot(self) -> str:
        return f"platform-test-usb-0:{self.node.removeprefix('/dev/loop')}"

    def plug(self) -> None:
        """A test that was killed may have left the read-only mark on a free loop device."""

        def attached() -> bool:
            node = run("losetup", "--find")
            run("blockdev", "--setrw", node)
            attach = ["losetup", "--partscan", node, str(self.image)]
            if subprocess.run(attach, capture_output=True, check=False).returncode:
                return False  # another one took it meanwhile
            self.node = node
            return True

        when(attached)

    def pull(self) -> None:
        if self.node:
            # The read-only mark would stay on the loop device for its next user.
            run("blockdev", "--setrw", self.node)
            run("losetup", "--detach", self.node)
            self.node = ""

    def digest(self) -> str:
        return hashlib.sha256(self.image.read_bytes()).hexdigest()


@pytest.fixture
def recorder(folder: Path, request: pytest.FixtureRequest) -> Iterator[Callable[..., Recorder]]:
    """Makes recorders: `recorder("a.mp4", …)` holds these files on ext4, `recorder()` nothing at all."""
    made: list[Recorder] = []

    def make(*names: str, size: int = 8 * MIB) -> Recorder:
        image = folder / f"{request.node.name[:40]}-{len(made)}.img"
        with image.open("wb") as empty:
            empty.truncate(size)
        if names:
            put_ext4(image, *names)
        made.append(Recorder(image))
        return made[-1]

    yield make
    for one in made:
        one.pull()
        one.image.unlink()


def put_ext4(image: Path, *names: str) -> None:
    source = image.with_suffix(".d")
    source.mkdir()
    for name in names:
        (source / name).write_bytes(name.encode() * 1000)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", source, image)


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
    lender = Mounts(mounts)
    tools = Tools(board, lender, best, station.collect, grace=1.0)
    dock = Dock(lambda: settings, [station.source], lender, tools)
    dock.start()
    try:
        yield station
    finally:
        assert dock.stop(PATIENCE) == []
        assert verbs.mounted_below(mounts) == []


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with docked(tmp_path) as built:
        assert built.source.alive()
        yield built


Make = Callable[..., Recorder]


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


def partition(image: Path, *parts: Recorder) -> None:
    """An MBR with the images of `parts` one after the other from 1 MiB on."""
    with image.open("r+b") as disk:
        at = MIB
        for i, part in enumerate(parts):
            content = part.image.read_bytes()
            disk.seek(at)
            disk.write(content)
            entry = bytes([0, 0, 0, 0, 0x83, 0, 0, 0])
            entry += (at // 512).to_bytes(4, "little") + (len(content) // 512).to_bytes(4, "little")
            disk.seek(446 + 16 * i)
            disk.write(entry)
            at += len(content)
        disk.seek(510)
        disk.write(b"\x55\xaa")


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


@contextmanager
def mounted(node: str, point: Path) -> Iterator[None]:
    point.mkdir()
    run("mount", node, point)
    try:
        yield
    finally:
        run("umount", point)


def test_mounts_of_an_agent_that_was_killed_are_ended_at_the_start(tmp_path: Path, recorder: Make) -> None:
    one = recorder("a.mp4")
    one.plug()
    left = tmp_path / "mounts"
    verbs.mount_readonly(one.node, "ext4", left / "dead-loop", 0, 0)
    (left / "dead-before-its-mount").mkdir()
    with docked(tmp_path) as station:
        station.until(one, SlotState.COLLECTED)
        assert list(left.iterdir()) == []


def test_a_volume_is_present_until_it_is_gone_and_not_when_another_has_its_node(
    tmp_path: Path, recorder: Make
) -> None:
    one, other = recorder("a.mp4"), recorder("b.mp4")
    one.plug()
    node = one.node
    device = Device(node, DeviceKind.VOLUME, "p", sysfs=f"/sys/block/{Path(node).name}", fs_type="ext4")
    with Mounts(tmp_path / "mounts").lend(device, "d", lambda: None) as port:
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
