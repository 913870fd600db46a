"""The stored clip's bytes, as a target reads them for sending."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.errors import NotEqual, Retry
from agent.upload.targets.base import Check


class LocalFile:
    """An open clip of the store. Raises Retry `store-unreadable` where the disk does not answer."""

    def __init__(self, fd: int, check: Check) -> None:
        self._fd = fd
        self._check = check

    def pread(self, length: int, offset: int) -> bytes:
        self._check()
        try:
            return os.pread(self._fd, length, offset)
        except OSError as error:
            raise _unreadable(error) from error

    def forget_cache(self) -> None:
        """The next read comes from the disk."""
        os.posix_fadvise(self._fd, 0, 0, os.POSIX_FADV_DONTNEED)


@contextmanager
def opened(path: Path, size: int, check: Check) -> Iterator[LocalFile]:
    """Raises NotEqual when it is no regular file of `size` bytes: it was altered."""
    try:
        # O_NONBLOCK: a pipe in its place must not hold us up.
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if path.is_symlink():
            raise NotEqual(why="no regular file") from error
        raise _unreadable(error) from error
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise NotEqual(why="no regular file")
        if found.st_size != size:
            raise NotEqual("size-differs", size=found.st_size, expected=size)
        yield LocalFile(fd, check)
    finally:
        os.close(fd)


def _unreadable(error: OSError) -> Retry:
    """The whole disk may be gone for a while (not mounted): no verdict about this one clip."""
    return Retry("store-unreadable", error=os.strerror(error.errno or 0))
