"""Lends drivers a recorder's files: a volume mounted read-only, or a folder of the simulated rack."""

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from agent.errors import DeviceGone, Stop, Unsupported
from agent.model import Device, DeviceKind, Port
from agent.privileged import erase as erasing
from agent.privileged.erase import Doomed, Fate
from agent.privileged.find import Volume, number
from agent.privileged.mounting import MOUNTABLE
from agent.privileged.verbs import Lent

log = logging.getLogger(__name__)

_PULSE = 0.5  # seconds between two signs of life of an erasure
_LONGEST = 1800.0  # seconds: an erasure that takes longer is taken for stuck, and disconnected


class Verbs(Protocol):
    """What needs root: `agent.privileged.verbs` in this process, or `agent.privileged.client`."""

    def mount(self, volume: Volume) -> Lent: ...
    def unmount(self, mount: Path) -> None: ...
    def mounted(self) -> list[Path]: ...
    def erase(self, mount: Path, files: Sequence[Doomed]) -> Sequence[Fate]: ...
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

    def erase(self, files: Sequence[tuple[str, int, int]]) -> Sequence[tuple[str, str]]:
        if not self.present():
            raise DeviceGone
        folder = erasing.Folder(self.path)
        return _patiently(lambda: erasing.erase(folder, [Doomed(*file) for file in files]), self)


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
    verbs: Verbs

    def present(self) -> bool:
        """Whether this very disk is still there: a node's name and number are given out again."""
        return _medium(self.sysfs) == self.medium

    def erase(self, files: Sequence[tuple[str, int, int]]) -> Sequence[tuple[str, str]]:
        doomed = [Doomed(*file) for file in files]
        fates = _patiently(lambda: self.verbs.erase(self.path, doomed), self)
        if not _is_mounted(self.path):  # an empty folder is not an empty recorder
            raise Stop("mount-failed", reason="nothing is mounted") if self.present() else DeviceGone
        return fates


def _patiently(erase: Callable[[], Sequence[Fate]], port: Port) -> Sequence[Fate]:
    """In a thread of its own, while the slot is told that it goes on. One that was begun is waited for, also
    when the recorder was pulled: its end is near then."""
    answer: Future[Sequence[Fate]] = Future()

    def work() -> None:
        try:
            answer.set_result(erase())
        except BaseException as error:  # noqa: BLE001 - raised below
            answer.set_exception(error)

    threading.Thread(target=work, name=f"erase {port.path.name}", daemon=True).start()
    until = time.monotonic() + _LONGEST
    while not wait([answer], _PULSE).done:
        if time.monotonic() < until:
            with contextlib.suppress(DeviceGone):
                port.beat()
    try:
        return answer.result()
    except OSError as error:
        if not port.present():
            raise DeviceGone from error
        raise


def _is_mounted(point: Path) -> bool:
    return point.stat().st_dev != point.parent.stat().st_dev


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
            if not _is_mounted(port.path):
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
        return VolumePort(lent.path, lent.empty, sysfs, medium, beat, self._verbs)

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
