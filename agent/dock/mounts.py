"""Lends drivers a recorder's files: a volume mounted read-only, or a folder of the simulated rack."""

import errno
import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from agent.errors import DeviceGone, Stop, Unsupported
from agent.model import Device, DeviceKind, Port
from agent.privileged import verbs as in_process

log = logging.getLogger(__name__)


class Verbs(Protocol):
    """`agent.privileged.verbs`, in this process or behind the helper."""

    def mount_readonly(self, node: str, fs_type: str, mountpoint: Path, uid: int, gid: int) -> None: ...
    def unmount(self, mountpoint: Path) -> None: ...
    def disconnect(self, sysfs: Path) -> Path | None: ...
    def mounted_below(self, folder: Path) -> list[Path]: ...


@dataclass(slots=True)
class FolderPort:
    path: Path
    inode: int
    beat: Callable[[], None]

    def present(self) -> bool:
        try:
            return self.path.lstat().st_ino == self.inode
        except OSError:
            return False


@dataclass(slots=True)
class VolumePort:
    path: Path
    sysfs: Path
    number: str
    sequence: str
    beat: Callable[[], None]

    def present(self) -> bool:
        """Whether this very disk is still there: a node's name and number are given out again."""
        return _medium(self.sysfs) == (self.number, self.sequence)


class Mounts:
    """Mounts below `folder`, each for one reading of one volume."""

    def __init__(self, folder: Path, verbs: Verbs = in_process) -> None:
        self._folder = folder
        self._verbs = verbs
        # A volume that is read again must not be mounted where `sweep` may just end its last mount.
        self._numbers = itertools.count(1)
        self._left_over: set[Path] = set()
        self._lock = threading.Lock()

    @contextmanager
    def lend(self, device: Device, docking: str, beat: Callable[[], None]) -> Iterator[Port]:
        """The recorder's files while the context lasts; `beat` is the port's. Raises Stop `mount-failed`
        (reason), Unsupported `unknown-file-system` (fs_type), DeviceGone."""
        if device.kind is DeviceKind.FOLDER:
            path, _, inode = device.node.rpartition("#")
            yield FolderPort(Path(path), int(inode), beat)
            return
        name = f"{docking}-{Path(device.node).name}-{next(self._numbers)}"
        port = self._mount(device, self._folder / name, beat)
        try:
            if port.path.stat().st_dev == port.path.parent.stat().st_dev:
                raise Stop("mount-failed", reason="nothing is mounted")
            yield port
        finally:
            self._unmount(port.path)

    def disconnect(self, device: Device) -> Path | None:
        """End all I/O to the recorder. Returns what stays in sysfs until it is pulled, if anything does."""
        return self._verbs.disconnect(Path(device.sysfs)) if device.sysfs else None

    def clean(self) -> None:
        """Unmount what an agent that was killed left behind."""
        mounted = self._verbs.mounted_below(self._folder)
        empty = self._folder.iterdir() if self._folder.is_dir() else ()
        for point in [*mounted, *(folder for folder in empty if folder not in mounted)]:
            self._unmount(point)

    def sweep(self) -> None:
        """Try again what could not be unmounted when its docking ended. Takes seconds for each."""
        with self._lock:
            again = sorted(self._left_over)
        for point in again:
            self._unmount(point)

    def _mount(self, device: Device, point: Path, beat: Callable[[], None]) -> VolumePort:
        if device.fs_type not in in_process.MOUNTABLE:
            raise Unsupported("unknown-file-system", fs_type=device.fs_type)
        medium = _medium(Path(device.sysfs))
        if medium is None:
            raise DeviceGone
        port = VolumePort(point, Path(device.sysfs), *medium, beat)
        try:
            self._verbs.mount_readonly(device.node, device.fs_type, point, os.getuid(), os.getgid())
        except OSError as e:
            if not port.present():
                raise DeviceGone from e
            raise Stop("mount-failed", reason=_reason(e)) from e
        return port

    def _unmount(self, point: Path) -> None:
        """A mount that cannot be ended now keeps nobody from taking the recorder: it is read-only. So this
        is no error of the docking; `sweep` tries again."""
        try:
            self._verbs.unmount(point)
        except OSError as e:
            log.warning("cannot unmount %s yet: %s", point, e)
            with self._lock:
                self._left_over.add(point)
        else:
            with self._lock:
                self._left_over.discard(point)


def _reason(error: OSError) -> str:
    if error.errno == errno.EBUSY:
        return "this machine uses the disk itself"
    return error.strerror or str(error)


def _medium(sysfs: Path) -> tuple[str, str] | None:
    """(device number, sequence number of its disk); None when it is gone or has no medium. Disks of
    kernels before 5.15 have no sequence number."""
    try:
        number = (sysfs / "dev").read_text().strip()
        if int((sysfs / "size").read_text()) == 0:
            return None
    except OSError:
        return None
    disk = sysfs.parent if (sysfs / "partition").exists() else sysfs
    sequence = disk / "diskseq"
    return number, sequence.read_text().strip() if sequence.exists() else ""
