"""What only root may do with a recorder, each verb by its socket of the rack.

Every verb raises OSError with an errno and nothing else. None takes a path to a device, and what a verb
mounts lies at a name of its own choosing. A verb that is stuck in the kernel holds up nobody but those who
want the same disk.
"""

import contextlib
import errno
import itertools
import logging
import os
import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.privileged import beneath, mounting
from agent.privileged import erase as erasing
from agent.privileged.erase import Doomed, Fate
from agent.privileged.find import TAG, Block, Finder, Volume
from agent.privileged.mounting import Device

log = logging.getLogger(__name__)

__all__ = ["Doomed", "Fate", "InProcess", "Lent", "Volume"]

_TURN = 5.0  # seconds that a verb waits for another one at the same disk
_WORKSHOP = ".erase"  # nobody but root looks into a mount that can be written to
_EXT = frozenset({"ext2", "ext3", "ext4"})
_LOST_FOUND = "lost+found"


class Lent(NamedTuple):
    """A mounted volume."""

    path: Path
    # Folders that only root may look into, and that hold nothing: `lost+found` of every fresh ext4. Without
    # this a reader that is not root could not tell it from one that hides clips.
    empty: frozenset[str]


@dataclass(frozen=True, slots=True)
class Owner:
    """Who owns the files of a file system that knows no owners."""

    uid: int
    gid: int


class InProcess:
    """Thread-safe. One for each folder of mounts."""

    def __init__(self, folder: Path, tag: str = TAG, finder: Finder | None = None) -> None:
        self.folder = folder
        self._finder = finder or Finder(tag)
        self._names = itertools.count(1)
        self._turns: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def mount(self, volume: Volume, owner: Owner | None = None) -> Lent:
        """Mount it read-only, after its disk was set read-only. EBUSY: this machine uses the disk itself.
        EINVAL: not one of MOUNTABLE, or not such a file system. ENODEV, ESTALE: it is not there any more."""
        owner = owner or Owner(os.getuid(), os.getgid())
        block = self._finder.volume(volume)
        mounting.kind_of(block.fs_type)
        with self._turn(block), mounting.held(block, volume.diskseq) as device:
            device.claim()
            device.set_readonly(True)
            point = self._new_point(block, volume.diskseq)
            try:
                self._mount(device, point, owner)
                return Lent(point, _empty(block, point))
            except OSError:
                with contextlib.suppress(OSError):
                    mounting.unmount(point)
                raise

    def unmount(self, mount: Path) -> None:
        """End one of our mounts, never lazily; a folder without one is removed. EBUSY when somebody keeps
        it open for longer than a few seconds."""
        mounting.unmount(self._ours(mount))

    def mounted(self) -> list[Path]:
        """What an agent that was killed may have left: mounts, the latest first, and folders for them."""
        if not self.folder.is_dir():
            return []
        there = [mount for mount in mounting.mounted_below(self.folder) if mount.parent == self.folder]
        folders = (each for each in sorted(self.folder.iterdir()) if each.name != _WORKSHOP)
        return [*there, *(each for each in folders if each not in there)]

    def erase(self, mount: Path, files: Sequence[Doomed], owner: Owner | None = None) -> list[Fate]:
        """Remove exactly these files; see `agent.privileged.erase`."""
        owner = owner or Owner(os.getuid(), os.getgid())
        block = self.block_at(mount)
        with self._turn(block), mounting.held(block, block.diskseq) as device:
            again = lambda: self._mount(device, mount, owner)  # noqa: E731
            return erasing.erase(erasing.Volume(device, mount, self._workshop() / mount.name, again), files)

    def disconnect(self, port: str) -> Path | None:
        """Take the recorder in a socket off its bus, which ends all I/O that waits for it. Waits for no turn:
        who has it may be what is to be ended.

        Returns its USB device, which stays in sysfs until the recorder is pulled; None when it is on no USB
        (then its SCSI device is removed). ENODEV: it is on neither. EBUSY: the machine uses it itself."""
        if usb := self._finder.usb(port):
            self._refuse_own(usb)
            (usb / "authorized").write_text("0")
            return usb
        scsi = self._finder.scsi(port)
        for each in scsi:
            self._refuse_own(each)
            (each / "delete").write_text("1")
        if not scsi:
            raise OSError(errno.ENODEV, "nothing to disconnect", port)
        return None

    def authorise(self, port: str) -> None:
        """Give a recorder that was disconnected its bus back. EACCES: the USB guard did not let it in."""
        (self._finder.allowed_usb(port) / "authorized").write_text("1")

    def recover(self) -> None:
        """At the start: what an erasure was at when its process was killed becomes read-only again."""
        for point in mounting.mounted_below(self.folder / _WORKSHOP):
            try:
                block = self._finder.by_number(_mount_at(point).number)
                with mounting.held(block, block.diskseq) as device:
                    device.set_readonly(True)
            except OSError as e:
                log.error("%s cannot be made read-only: %s", point, e)
            with contextlib.suppress(OSError):
                mounting.unmount(point)

    def block_at(self, mount: Path) -> Block:
        """The recorder behind one of our mounts."""
        found = _mount_at(self._ours(mount))
        if found.root != "/":
            raise OSError(errno.EINVAL, "not a whole file system", str(mount))
        return self._finder.by_number(found.number)

    def _ours(self, mount: Path) -> Path:
        if mount.parent != self.folder or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", mount.name):
            raise OSError(errno.EINVAL, "not one of these mounts", str(mount))
        return mount

    def _new_point(self, block: Block, diskseq: int) -> Path:
        """`sdb1-42-700-1`: for people; nothing is read from it. Never a name that is in use, nor one of the
        process before this one, whose mounts somebody may still be about to end."""
        self.folder.mkdir(mode=0o710, parents=True, exist_ok=True)
        kernel = re.sub(r"[^A-Za-z0-9]", "-", block.sysfs.name)
        while True:
            point = self.folder / f"{kernel}-{diskseq}-{os.getpid()}-{next(self._names)}"
            with contextlib.suppress(FileExistsError):
                point.mkdir(mode=0o700)
                return point

    def _mount(self, device: Device, point: Path, owner: Owner) -> None:
        mounting.mount_readonly(device, point, owner.uid, owner.gid)
        # A card that was changed meanwhile is another recorder's; what is mounted must be what was held.
        device.check()
        if _mount_at(point).number != device.number:
            raise OSError(errno.ESTALE, "something else is mounted", str(point))

    def _workshop(self) -> Path:
        folder = self.folder / _WORKSHOP
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder

    def _refuse_own(self, device: Path) -> None:
        """A USB disk that the station itself runs from is not taken off its bus."""
        numbers: set[str] = set()
        for file in device.rglob("dev"):
            with contextlib.suppress(OSError):  # parts of a dying recorder vanish meanwhile
                numbers.add(file.read_text().strip())
        for mount in mounting.mounts():
            if mount.number in numbers and self.folder not in mount.point.parents:
                raise OSError(errno.EBUSY, "this machine uses the disk itself", str(mount.point))

    @contextmanager
    def _turn(self, block: Block) -> Iterator[None]:
        with self._lock:
            turn = self._turns.setdefault(block.disk.name, threading.Lock())
        if not turn.acquire(timeout=_TURN):
            raise OSError(errno.EAGAIN, "another call is still at this disk")
        try:
            yield
        finally:
            turn.release()


def _mount_at(point: Path) -> mounting.Mounted:
    """EINVAL: nothing is mounted there, or one thing over another."""
    found = [mount for mount in mounting.mounts() if mount.point == point]
    if len(found) != 1:
        raise OSError(errno.EINVAL, f"{len(found)} mounts are there", str(point))
    return found[0]


def _empty(block: Block, point: Path) -> frozenset[str]:
    """Looked at by root, on a mount that cannot change any more."""
    if block.fs_type not in _EXT:
        return frozenset()
    root = os.open(point, beneath.FOLDER)
    try:
        folder = beneath.open_at(root, _LOST_FOUND, beneath.FOLDER)
    except OSError:
        return frozenset()  # none, or none that can be read: whoever lists the recorder will say so
    finally:
        os.close(root)
    try:
        return frozenset() if os.listdir(folder) else frozenset({_LOST_FOUND})  # noqa: PTH208 (a descriptor)
    except OSError:
        return frozenset()
    finally:
        os.close(folder)
