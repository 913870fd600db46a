"""Listing a recorder whose contents may be hostile.

Breadth first, so that what bounds the listing (a card may hold a million folders, or a ring of them)
costs the depths, not the clips. One folder that cannot be read does not stop the others. At most three
descriptors are open at a time, however deep it goes: 32 slots share the process's limit.
"""

import os
import stat
from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

from agent.errors import DeviceGone, SourceUnreadable
from agent.model import Port, Skipped
from drivers.files import ROOT, descend, failure, mount_id, stays
from drivers.room import Portion

_DEPTH = 64  # folders above a file
_BEAT = 256  # entries between two heartbeats: a slow card gives them in seconds


class Found(NamedTuple):
    folder: str  # "" is the root
    name: str
    status: os.stat_result


class Walk:
    """One listing. `skipped` is complete once `files` is exhausted."""

    def __init__(
        self,
        root: int,
        port: Port,
        ignored: Callable[[str], bool],
        portion: Portion,
        errors: Callable[[], int] = int,
    ) -> None:
        """`portion` bounds the listing: the rest is `too-many`. `errors` counts what failed below the file
        system so far: the kernel's FAT passes over directory blocks that it cannot read, and says so to
        nobody."""
        self._root = root
        self._port = port
        self._ignored = ignored
        self._portion = portion
        self._mount = mount_id(root)
        self._folders = deque([""])
        self._failed = False
        self._errors = errors
        self._errors_before = errors()
        self.skipped: list[Skipped] = []
        self.doubted = False  # nothing but that count says that something was passed over

    def files(self) -> Iterator[Found]:
        """Every regular file. Raises DeviceGone."""
        while self._folders:
            yield from self._folder(self._folders.popleft())
        if self._errors() > self._errors_before and not self._failed:
            self._failed = self.doubted = True
            self._skip("", "unreadable-folder")
        # A listing that a pull cut short must not pass for a whole one. Asked once for all that failed:
        # a moment for each of a thousand bad entries would be a stuck slot.
        if not (stays(self._port) if self._failed else self._port.present()):
            raise DeviceGone()

    def _folder(self, path: str) -> Iterator[Found]:
        self._port.beat()
        try:
            fd = descend(self._root, path)
        except OSError as e:
            self._unreadable(path, "unreadable-folder", e)
            return
        try:
            if mount_id(fd) != self._mount:
                self._skip(path, "other-filesystem")
            else:
                yield from self._scan(fd, path)
        except OSError as e:
            self._unreadable(path, "unreadable-folder", e)
        finally:
            os.close(fd)

    def _scan(self, fd: int, folder: str) -> Iterator[Found]:
        with os.scandir(fd) as entries:
            for number, entry in enumerate(entries, 1):
                if number % _BEAT == 0:
                    self._port.beat()
                path = f"{folder}/{entry.name}" if folder else entry.name
                if not self._room_for(path):
                    self._skip(folder, "too-many")
                    self._folders.clear()
                    return
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError as e:
                    self._unreadable(path, "unreadable-entry", e)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    self._later(path)
                elif stat.S_ISREG(status.st_mode):
                    yield Found(folder, entry.name, status)
                else:
                    self._skip(path, "not-a-file")

    def _later(self, path: str) -> None:
        if self._ignored(path) or path in self._port.empty:
            return
        if path.count("/") >= _DEPTH:
            self._skip(path, "too-deep")
        else:
            self._folders.append(path)

    def _room_for(self, path: str) -> bool:
        return self._portion.take(path)

    def _skip(self, path: str, reason: str) -> None:
        self.skipped.append(Skipped(path or ROOT, reason))

    def _unreadable(self, path: str, reason: str, error: OSError) -> None:
        """Goes on when it is the medium's fault; raises when the recorder is gone or the fault is ours."""
        what = failure(error, self._port, path, settle=False)
        if not isinstance(what, SourceUnreadable):
            raise what from error
        self._failed = True
        self._skip(path, reason)
