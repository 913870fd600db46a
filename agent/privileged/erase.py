"""Erasing exactly the files that were named, and nothing else, on one recorder.

All of them are looked at first, on the read-only mount: unless every one is there as described, nothing is
done at all. Nor is it on a file system that is not whole. Then, where nobody but root can look, the volume is
mounted writable, each file is looked at again and removed; everything is synced, and the disk is read-only
again, whatever failed in between. What the caller is told is what was seen afterwards on the new read-only
mount, not what was attempted. A folder of the simulated rack goes the same way, but for what a mount needs.
"""

import ctypes
import errno
import logging
import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol

from agent.privileged import beneath, checking, mounting
from agent.privileged.mounting import Device

log = logging.getLogger(__name__)

_libc = ctypes.CDLL(None, use_errno=True)


class Doomed(NamedTuple):
    """A file to erase, as it was when it was collected."""

    path: str  # relative to the recorder's root; bytes that are no UTF-8 as os.fsdecode makes them
    size: int  # bytes
    mtime_ns: int


class Fate(NamedTuple):
    path: str
    #: `erased` · why it was left alone: `gone`, `elsewhere` (a link, another mount), `not-a-file`, `linked`
    #: (it has another name too), `alike` (another name differs from it in case only), `differs`, `refused`
    #: (because of another file), or an errno's name ·
    #: `uncertain`: not there, and the disk may show it again
    outcome: str


class Site(Protocol):
    """Where files are erased."""

    @property
    def point(self) -> Path:
        """Where they are seen, before and afterwards."""
        ...

    def writable(self) -> AbstractContextManager[int]:
        """A descriptor of its root, while it can be written to. Raises OSError when it cannot."""
        ...


@dataclass(frozen=True, slots=True)
class Volume:
    """A mounted recorder."""

    device: Device
    point: Path
    workshop: Path  # for the writable mount; behind a folder that only root may enter
    mount_again: Callable[[], None]  # read-only, at `point`

    @contextmanager
    def writable(self) -> Iterator[int]:
        mounting.end_mount(self.point)
        try:
            self.device.check()
            checking.check(self.device.node, self.device.block.fs_type)
            with _writable(self.device, self.workshop) as root:
                yield root
        finally:
            # After every way out of the above. The first of the two is what matters.
            self.device.set_readonly(True)
            with _told("mount again"):
                self.mount_again()


@dataclass(frozen=True, slots=True)
class Folder:
    """A recorder of the simulated rack."""

    point: Path

    def writable(self) -> AbstractContextManager[int]:
        return _folder(self.point)


def erase(site: Site, files: Sequence[Doomed]) -> list[Fate]:
    """Raises OSError when nothing was touched: the mount is in use, the file system is damaged (EUCLEAN) or
    cannot be checked (EOPNOTSUPP), the disk cannot be written to."""
    if not files or not all(beneath.is_path(file.path) for file in files):
        raise OSError(errno.EINVAL, "not a list of paths below a recorder")
    seen = _look_at_all(site.point, files)
    if any(seen.values()):
        return [Fate(file.path, seen[file.path] or "refused") for file in files]
    fates: dict[str, str] = {}
    try:
        with site.writable() as root:
            for file in files:
                fates[file.path] = _remove(root, file)
            _sync(root, fates)
    except OSError as e:
        if not fates:
            raise
        log.error("after an erasure: %s", e)
        fates = {path: _doubted(fate) for path, fate in fates.items()}
    return _confirmed(site.point, [Fate(file.path, fates.get(file.path, "refused")) for file in files])


def _look_at_all(point: Path, files: Sequence[Doomed]) -> dict[str, str]:
    """By path: why it may not be erased, "" when it may."""
    with _folder(point) as root:
        names = _Names(root)
        return {file.path: _looked_at(root, file) or names.why_not(file.path) for file in files}


class _Names:
    """What each folder holds, read once. On FAT a name stands for every one that differs in case only: which
    file the kernel takes for it is chance."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._known: dict[str, tuple[set[str], Counter[str]]] = {}

    def why_not(self, path: str) -> str:
        """ "alike" when any part of `path` could stand for another name, too."""
        parts = path.split("/")
        try:
            for depth, name in enumerate(parts):
                exact, folded = self._names("/".join(parts[:depth]))
                if name not in exact or folded[name.casefold()] != 1:
                    return "alike"
        except OSError as e:
            return _why(e)
        return ""

    def _names(self, folder: str) -> tuple[set[str], Counter[str]]:
        if folder not in self._known:
            with beneath.folder_of(self._root, f"{folder}/x" if folder else "x") as (fd, _):
                # Another description of it: reading moves a position that a duplicate would share.
                fresh = os.open(".", beneath.FOLDER, dir_fd=fd)
            try:
                found = set(os.listdir(fresh))  # noqa: PTH208 (a descriptor)
            finally:
                os.close(fresh)
            self._known[folder] = found, Counter(name.casefold() for name in found)
        return self._known[folder]


def _looked_at(root: int, file: Doomed) -> str:
    try:
        with beneath.folder_of(root, file.path) as (folder, name):
            return _difference(folder, name, file)
    except OSError as e:
        return _why(e)


def _difference(folder: int, name: str, file: Doomed) -> str:
    handle = beneath.open_at(folder, name, beneath.HANDLE)
    try:
        return _differs(handle, file)
    finally:
        os.close(handle)


def _differs(handle: int, file: Doomed) -> str:
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        return "elsewhere" if stat.S_ISLNK(status.st_mode) else "not-a-file"
    if status.st_nlink != 1:
        return "linked"
    return "" if (status.st_size, status.st_mtime_ns) == (file.size, file.mtime_ns) else "differs"


def _remove(root: int, file: Doomed) -> str:
    """Between the look and the removal nobody else can reach the file: the mount is root's alone."""
    try:
        with beneath.folder_of(root, file.path) as (folder, name):
            return _unlink(folder, name, file)
    except OSError as e:
        return _why(e)


def _unlink(folder: int, name: str, file: Doomed) -> str:
    handle = beneath.open_at(folder, name, beneath.HANDLE)
    try:
        if different := _differs(handle, file):
            return different
        os.unlink(name, dir_fd=folder)
        # First the name goes, on the disk too; what it stood for is free only once the handle is closed. So a
        # pull never leaves a name behind whose clusters the recorder gives to its next recording.
        try:
            os.fsync(folder)
        except OSError as e:
            log.error("cannot sync a folder of a recorder: %s", e)
            return "uncertain"
        return "erased"
    finally:
        os.close(handle)


def _sync(root: int, fates: dict[str, str]) -> None:
    if _libc.syncfs(ctypes.c_int(root)) != 0:
        code = ctypes.get_errno()
        fates.update({path: _doubted(fate) for path, fate in fates.items()})
        log.error("cannot sync after an erasure: %s", os.strerror(code))


def _confirmed(point: Path, fates: list[Fate]) -> list[Fate]:
    """`erased` stands only for what the disk itself no longer shows."""
    try:
        with _folder(point) as root:
            return [fate if _agrees(root, fate) else Fate(fate.path, "uncertain") for fate in fates]
    except OSError as e:
        log.error("cannot look at the recorder after an erasure: %s", e)
        return [Fate(path, _doubted(outcome)) for path, outcome in fates]


def _doubted(outcome: str) -> str:
    """By a disk that may be away: on FAT no name is found any more then."""
    return "uncertain" if outcome in ("erased", "gone") else outcome


def _agrees(root: int, fate: Fate) -> bool:
    return fate.outcome != "erased" or _looked_at(root, Doomed(fate.path, -1, 0)) == "gone"


@contextmanager
def _writable(device: Device, workshop: Path) -> Iterator[int]:
    """The root of a writable mount; afterwards nothing is mounted."""
    device.claim()
    workshop.mkdir(mode=0o700)
    try:
        device.set_readonly(False)
        mounting.mount_writable(device, workshop)
        device.check()
        with _folder(workshop) as root:
            yield root
    finally:
        mounting.unmount(workshop)


@contextmanager
def _folder(point: Path) -> Iterator[int]:
    fd = os.open(point, beneath.FOLDER)
    try:
        yield fd
    finally:
        os.close(fd)


@contextmanager
def _told(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as e:
        log.error("cannot %s after an erasure: %s", what, e)


def _why(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "gone"
    if error.errno in (errno.ELOOP, errno.EXDEV):
        return "elsewhere"
    return errno.errorcode.get(error.errno or 0, "error")
