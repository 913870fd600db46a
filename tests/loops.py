"""Loop devices as recorders: real block devices, the kernel's events, udevd's own database.

A temporary rule gives them our tag and the ID_PATH of a USB port, only to those whose image lies in this
run's folder: other loop devices of the machine are left alone. A test module that wants them says
`require(*NEEDS)` and imports the fixtures `turn`, `folder`, `udev` and `recorder`.
"""

import contextlib
import fcntl
import hashlib
import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.privileged.find import Volume, number
from tests.dock_house import PATIENCE
from tests.here import UDEVD

NEEDS = ("root", "loop", "ext4", "udevd", "udev-netlink")
TAG = "recorder-station-test"
RULES = Path(f"/run/udev/rules.d/61-recorder-station-test-{os.getpid()}.rules")
MIB = 1 << 20
_NUMBERS = itertools.count(1)  # for names of images


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

    @property
    def sysfs(self) -> Path:
        return Path("/sys/block") / Path(self.node).name

    def volume(self, partition: int = 0) -> Volume:
        """As the agent calls it, once udevd has examined it."""
        return Volume(self.slot, 0, partition, number(self.sysfs / "diskseq"))

    def examined(self) -> "Recorder":
        """Plugged in, and udevd has written down what it is."""
        self.plug()
        run("udevadm", "settle")
        return self

    def digest(self) -> str:
        return hashlib.sha256(self.image.read_bytes()).hexdigest()


@pytest.fixture
def recorder(folder: Path) -> Iterator[Callable[..., Recorder]]:
    """Makes recorders: `recorder("a.mp4", …)` holds these files on ext4, `recorder()` nothing at all."""
    made: list[Recorder] = []

    def make(*names: str, size: int = 8 * MIB) -> Recorder:
        image = folder / f"{next(_NUMBERS)}.img"
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
        (source / name).write_bytes(os.fsencode(name) * 1000)
    run("mke2fs", "-q", "-F", "-t", "ext4", "-d", source, image)


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


@contextmanager
def mounted(node: str, point: Path) -> Iterator[None]:
    point.mkdir()
    run("mount", node, point)
    try:
        yield
    finally:
        run("umount", point)


Make = Callable[..., Recorder]
