"""Reading a recorder's folders and files, and what their errors mean.

Paths are walked one part at a time below the root's descriptor: a path may be longer than the kernel
takes at once (40 folders of 255 bytes), and no link is ever followed, however it got there meanwhile.
"""

import contextlib
import errno
import os
import time

from agent.errors import DeviceGone, SourceUnreadable
from agent.model import Port

ROOT = "/"  # how the root is called in problems

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE = {errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.ESHUTDOWN}
#: Not the recorder's fault: these must stay loud.
_OURS = {errno.EBADF, errno.EFAULT, errno.EINVAL, errno.EMFILE, errno.ENFILE, errno.ENOMEM}

#: A pulled recorder gives EIO before the system has taken note: a hub is asked every 256 ms.
SETTLE = 0.6
_BEHIND = 8 << 20  # bytes that were read and may stay in memory
_LATEST_NS = (1 << 63) - 1  # what the catalog can hold


def failure(
    error: OSError, port: Port, path: str, offset: int = 0, length: int = 0, *, settle: bool = True
) -> Exception:
    """What an error of the system means for whoever reads: DeviceGone, SourceUnreadable, or a bug of ours.

    Without `settle` the caller has to ask `stays` before it believes in a SourceUnreadable."""
    if error.errno in _OURS:
        return error
    doubtful = settle and error.errno == errno.EIO
    if error.errno in _GONE or not (stays(port) if doubtful else port.present()):
        return DeviceGone()
    name = errno.errorcode.get(error.errno or 0, str(error.errno))
    # What this user may not read is whole, and none of it is had: other words than for a bad sector.
    key = "unreadable-entry" if error.errno in (errno.EACCES, errno.EPERM) else ""
    return SourceUnreadable(key, path=path, offset=offset, length=length, errno=name)


def stays(port: Port) -> bool:
    """Whether the recorder is still there a moment later."""
    until = time.monotonic() + SETTLE
    while port.present():
        if time.monotonic() >= until:
            return True
        port.beat()
        time.sleep(SETTLE / 6)
    return False


def descend(root: int, path: str) -> int:
    """A descriptor of the folder `path` ("" is the root itself) below `root`. Raises OSError."""
    fd = os.open(".", _FOLDER, dir_fd=root)
    for part in path.split("/") if path else ():
        parent = fd
        try:
            fd = os.open(part, _FOLDER, dir_fd=parent)
        finally:
            os.close(parent)
    return fd


def mount_id(fd: int) -> int:
    """Tells one mount from another, also two of the same file system, which `st_dev` cannot."""
    with open(f"/proc/self/fdinfo/{fd}", encoding="ascii") as info:  # noqa: PTH123 (no Path for each folder)
        for line in info:
            if line.startswith("mnt_id:"):
                return int(line[7:])
    raise OSError(errno.ENOSYS, "the kernel names no mount")


def mtime_ns(status: os.stat_result) -> int:
    """Clamped: a damaged file system can name a time that no catalog holds."""
    return max(-_LATEST_NS, min(status.st_mtime_ns, _LATEST_NS))


class FileReader:
    """A `Reader` over one descriptor, which it owns."""

    def __init__(self, fd: int, path: str, port: Port) -> None:
        self._fd = fd
        self._path = path
        self._port = port
        self._left_behind = 0  # up to here
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)

    def ahead(self, offset: int, length: int) -> None:
        with contextlib.suppress(OSError):  # what is wrong will be told by the read itself
            os.posix_fadvise(self._fd, offset, length, os.POSIX_FADV_WILLNEED)

    def read_at(self, buffer: memoryview, offset: int) -> int:
        try:
            got = os.preadv(self._fd, [buffer], offset)
        except OSError as e:
            raise failure(e, self._port, self._path, offset, len(buffer)) from e
        self._leave_behind(offset + got)
        return got

    def _leave_behind(self, end: int) -> None:
        """What was read is not read again, and must not push out of the memory what is needed there."""
        if end - self._left_behind >= _BEHIND:
            os.posix_fadvise(self._fd, self._left_behind, end - self._left_behind, os.POSIX_FADV_DONTNEED)
            self._left_behind = end

    def stat(self) -> tuple[int, int]:
        try:
            status = os.fstat(self._fd)
        except OSError as e:
            raise failure(e, self._port, self._path) from e
        return status.st_size, mtime_ns(status)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
