"""One docking on a station whose store lies on a disk of which the kernel logs every write.

The image is the unmodified one: its agent is stopped, a dm-log-writes device takes the place of the data
partition's folder, and the agent is started on that. While it works, everything that its status says new is
kept here, and a mark goes into the log: what was said before a mark must be true of the disk at any point of
the log behind it.
"""

import copy
import os
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from scripts.demo_rack import FOLDER, make_recorder, record
from tests.crash.promises import Promises
from tests.crash.rack import Contents, contents
from tests.vm.guest import PATIENCE, Guest
from tests.vm.machine import SLOTS, Machine
from tests.vm.power import STORE
from tests.vm.recorders import MIB, Card, held, make

SLOT = "01"
FOLDER_ON_DISK = "recorder-station"  # the store's, as on the data partition
_DISK, _LOG = 256 * MIB, 1024 * MIB
_DEVICE = "logged"
_PER_SECOND = 4 * MIB  # slow enough that much is said while the docking lasts
_GLANCE = 0.1
_RECORDED = 1_772_352_000  # seconds: of the files that are made here

_BEGIN = f"""
set -e
systemctl stop recorder-station.service
modprobe dm-log-writes
disk=/dev/disk/by-id/virtio-disk%d log=/dev/disk/by-id/virtio-disk%d
dmsetup create {_DEVICE} --table "0 $(blockdev --getsz $disk) log-writes $disk $log"
mkdir -p /run/{_DEVICE}
mount -t ext4 -o nosuid,nodev,noexec,noatime,errors=remount-ro /dev/mapper/{_DEVICE} /run/{_DEVICE}
install -d -o recorder-station -g recorder-station -m 0750 /run/{_DEVICE}/{FOLDER_ON_DISK}
mount --bind /run/{_DEVICE}/{FOLDER_ON_DISK} {STORE}
systemctl start recorder-station.service
"""
_END = f"""
set -e
systemctl stop recorder-station.service
umount {STORE} /run/{_DEVICE}
dmsetup remove --retry {_DEVICE}
"""
_BROKEN = "/run/broken-agent.py"
_DROP_IN = "/run/systemd/system/recorder-station.service.d/broken.conf"
_MAIN = "\nfrom agent.cli import main\nsys.exit(main())\n"


class Heard(Promises):
    """What was said, without a look whether it is so: that is for later, at every point of the log."""

    def _look(self, row: Mapping[str, Any], folder: Path, said: str) -> None: ...


@dataclass(frozen=True)
class Said:
    """Everything that the status had told by one mark of the log."""

    clips: Heard
    collected: bool = False  # the recorder may have been erased at home


@dataclass
class Recording:
    """`base` is the disk before the first write in `log`; `said[n]` was said when `n` marks had been made."""

    folder: Path
    card: Card
    number: int  # of the first of two disks in the machine
    said: list[Said] = field(default_factory=lambda: [Said(Heard(Path(), Path()))])

    @property
    def base(self) -> Path:
        return self.folder / "base.img"

    @property
    def disk(self) -> Path:
        return self.folder / "disk.img"

    @property
    def log(self) -> Path:
        return self.folder / "log.img"

    @property
    def recorder(self) -> Path:
        return self.folder / f"{self.card.number}.img"

    @property
    def centre(self) -> Path:
        """Central storage as it was when all was done."""
        return self.folder / "centre"

    @property
    def contents(self) -> Contents:
        return contents(held(self.recorder))

    @property
    def fs_uuid(self) -> str:
        """Of the recorder's exFAT, as udev tells it."""
        with self.recorder.open("rb") as file:
            file.seek(MIB + 100)
            number = int.from_bytes(file.read(4), "little")
        return f"{number >> 16:04X}-{number & 0xFFFF:04X}"


def prepare(folder: Path, number: str = "2100001", first_disk: int = 1) -> Recording:
    """Disks for the machine to be started with, and the recorder: small clips, one of several parts, one
    with two names, and one of nothing."""
    folder.mkdir()
    recording = Recording(folder, Card(number, "exfat", "mbr"), first_disk)
    for path, size in ((recording.base, _DISK), (recording.log, _LOG)):
        with path.open("wb") as file:
            file.truncate(size)
    # Nothing that the kernel would do later, all by itself, beside what is to be looked at.
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    made = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-m", "1", "-E", lazy, str(recording.base)]
    subprocess.run(made, check=True)
    subprocess.run(["cp", "--sparse=always", recording.base, recording.disk], check=True)
    files = held(recording.recorder)
    make_recorder(files, number=number, clips=7, size=300_000)
    (files / ".recorder.yaml").unlink()
    (large,) = record(files, [10], number=number, officer="000001", size=17 * MIB + 4321)
    for name, content in (("0901_IMP", (files / large).read_bytes()), ("0902", b"")):
        path = files / FOLDER / f"{number}_000001_20260301080000_{name}.mp4"
        path.write_bytes(content)
        # In steps of the recorder's file system, so that it is the same file when it is docked on the host.
        os.utime(path, (_RECORDED, _RECORDED))
    make(recording.recorder, recording.card, files)
    return recording


def dock(machine: Machine, recording: Recording, patch: str = "") -> None:
    """The docking, from the first write to a clean end. `patch`: Python that makes another agent of it, run
    before anything of its own is imported."""
    if patch:
        _break(machine.guest, patch)
    machine.guest.sh(_BEGIN % (recording.number, recording.number + 1))
    machine.guest.until_ready()
    machine.plug(recording.recorder, SLOTS[SLOT], limits={"bps-read": _PER_SECOND})
    _listen(machine.guest, recording)
    machine.guest.sh(_END)
    machine.pull(SLOTS[SLOT])
    subprocess.run(["cp", "-a", machine.centre, recording.centre], check=True)


def _listen(guest: Guest, recording: Recording) -> None:
    """Until all is confirmed."""
    end, heard, collected = time.monotonic() + PATIENCE, Heard(Path(), Path()), False
    rows = list[dict[str, Any]]()
    while not (collected and {row["state"] for row in rows} <= {"confirmed", "merged"}):
        assert time.monotonic() < end, f"it does not finish: {rows}"
        if (status := guest.status()) is not None:
            shown = next((slot for slot in status["slots"] if slot["slot"] == SLOT), None)
            now = collected or (shown is not None and shown["state"] == "collected")
            before, rows = rows, guest.clips()
            if (rows, now) != (before, collected):
                collected = now
                heard.hear(status)
                heard.hear_clips(rows, 0)
                recording.said.append(Said(copy.deepcopy(heard), collected))
                guest.run("dmsetup", "message", _DEVICE, "0", "mark", f"said-{len(recording.said) - 1}")
        time.sleep(_GLANCE)


def _break(guest: Guest, patch: str) -> None:
    """For this boot: below /run."""
    start = 'import sys\nsys.path.insert(0, "/usr/lib/recorder-station/python")\n'
    guest.write(_BROKEN, (start + patch + _MAIN).encode())
    guest.run("mkdir", "-p", _DROP_IN.rpartition("/")[0])
    unit = f"[Service]\nExecStart=\nExecStart=/usr/bin/python3 -IB {_BROKEN} run\n"
    guest.write(_DROP_IN, unit.encode())
    guest.run("systemctl", "daemon-reload")


def pick(marks: list[int], number: int, rng: Random) -> list[int]:
    """Boundaries to look at when there is no time for all: right before and after each mark, the last one,
    and `number` others. `marks[i]`: how many marks there were before boundary `i`."""
    turns = [i for i in range(1, len(marks)) if marks[i] != marks[i - 1]]
    chosen = {*turns, *(i - 1 for i in turns), len(marks) - 1}
    others = [i for i in range(len(marks)) if i not in chosen]
    return sorted(chosen | {*rng.sample(others, min(number, len(others)))})
