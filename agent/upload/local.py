"""The stored clip's bytes, as a target reads them for sending."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import NotEqual, Retry
from agent.upload.limits import Limits
from agent.upload.targets.base import Check, LocalReader


class LocalFile(LocalReader):
    """An open clip of the store. Raises Retry `store-unreadable` where the disk does not answer."""

    def __init__(self, fd: int, check: Check, limits: Limits) -> None:
        self._fd = fd
        self._check = check
        self._limits = limits

    def pread(self, length: int, offset: int) -> bytes:
        """As fast as the limits allow; with one, fewer bytes at a time than were asked for."""
        return self.look(self._limits.grant(length, self._check), offset)

    def look(self, length: int, offset: int) -> bytes:
        self._check()
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise _unreadable(error) from error

    def forget_cache(self, offset: int = 0, length: int = 0) -> None:
        """The next read of these bytes comes from the disk; a length of 0: of all to the end."""
        os.posix_fadvise(self._fd, offset, length, os.POSIX_FADV_DONTNEED)


@contextmanager
def opened(store: Path, key: str, size: int, check: Check, limits: Limits) -> Iterator[LocalFile]:
    """The clip `key` in the folder of all clips.

    Raises NotEqual when it is no regular file of `size` bytes, or none at all: it was altered."""
    fd = _open(store, key)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise NotEqual(why="no regular file")
        if found.st_size != size:
            raise NotEqual("size-differs", size=found.st_size, expected=size)
        yield LocalFile(fd, check, limits)
    finally:
        os.close(fd)


def _open(store: Path, key: str) -> int:
    try:
        # Open while we look, so that a disk that is mounted in between is not asked for the half of it.
        folder = os.open(store, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _unreadable(error) from error
    try:
        # O_NONBLOCK: a pipe in its place must not hold us up.
        return os.open(key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise NotEqual(why="no regular file") from error
        if error.errno == errno.ENOENT:
            # The store is there, and the clip is not: it must be fetched again, by quarantine.
            raise NotEqual(why="gone") from error
        raise _unreadable(error) from error
    finally:
        os.close(folder)


def _unreadable(error: OSError) -> Retry:
    """The whole disk may be gone for a while (not mounted): no verdict about this one clip."""
    return Retry("store-unreadable", error=os.strerror(error.errno or 0))
