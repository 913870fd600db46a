"""Lends drivers a recorder's files: a volume mounted read-only, or a folder of the simulated rack."""

import errno
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from agent.errors import DeviceGone, Stop, Unsupported
from agent.model import Device, DeviceKind, Port
from agent.privileged.find import Volume, number
from agent.privileged.mounting import MOUNTABLE
from agent.privileged.verbs import Lent

log = logging.getLogger(__name__)


class Verbs(Protocol):
    """What needs root: `agent.privileged.verbs` in this process, or `agent.privileged.client`."""

    def mount(self, volume: Volume) -> Lent: ...
    def unmount(self, mount: Path) -> None: ...
    def mounted(self) -> list[Path]: ...
    def disconnect(self, port: str) -> Path | None: ...


@dataclass(slots=True)
class FolderPort:
    path: Path
    inode: int
    beat: Callable[[], None]
    empty: frozenset[str] = frozenset()

    def present(self) -> bool:
        try:
            return self.path.lstat().st_ino == self.inode
        except OSError:
            return False


class _Medium(NamedTuple):
    number: str  # of its block device
    diskseq: int  # of its disk; 0: kernels before 5.15 have none


@dataclass(slots=True)
class VolumePort:
    path: Path
    empty: frozenset[str]
    sysfs: Path
    medium: _Medium
    beat: Callable[[], None]

    def present(self) -> bool:
        """Whether this very disk is still there: a node's name and number are given out again."""
        return _medium(self.sysfs) == self.medium


class Mounts:
    """Mounts, each for one reading of one volume."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
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
        port = self._mount(device, beat)
        try:
            # The helper mounts in the machine's mount namespace: it must have come through to ours.
            if port.path.stat().st_dev == port.path.parent.stat().st_dev:
                raise Stop("mount-failed", reason="nothing is mounted")
            yield port
        finally:
            self._unmount(port.path)

    def disconnect(self, device: Device) -> Path | None:
        """End all I/O to the recorder. Returns what stays in sysfs until it is pulled, if anything does."""
        return self._verbs.disconnect(device.port) if device.sysfs else None

    def clean(self) -> None:
        """Unmount what an agent that was killed left behind."""
        try:
            left = self._verbs.mounted()
        except OSError as e:
            # Without the helper the rest of the station works; each slot will say what is missing.
            log.error("cannot see which recorders are still mounted: %s", e)
            return
        for point in left:
            self._unmount(point)

    def sweep(self) -> None:
        """Try again what could not be unmounted when its docking ended. Takes seconds for each."""
        with self._lock:
            again = sorted(self._left_over)
        for point in again:
            self._unmount(point)

    def _mount(self, device: Device, beat: Callable[[], None]) -> VolumePort:
        if device.fs_type not in MOUNTABLE:
            raise Unsupported("unknown-file-system", fs_type=device.fs_type)
        sysfs = Path(device.sysfs)
        medium = _medium(sysfs)
        if medium is None:
            raise DeviceGone
        volume = Volume(device.port, device.lun, number(sysfs / "partition"), medium.diskseq)
        try:
            lent = self._verbs.mount(volume)
        except OSError as e:
            if _medium(sysfs) != medium:
                raise DeviceGone from e
            raise Stop("mount-failed", reason=_reason(e)) from e
        return VolumePort(lent.path, lent.empty, sysfs, medium, beat)

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


def _medium(sysfs: Path) -> _Medium | None:
    """None when it is gone or has no medium."""
    try:
        device = (sysfs / "dev").read_text().strip()
        if int((sysfs / "size").read_text()) == 0:
            return None
    except OSError:
        return None
    disk = sysfs.parent if (sysfs / "partition").exists() else sysfs
    return _Medium(device, number(disk / "diskseq"))
