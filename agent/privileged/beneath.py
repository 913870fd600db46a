"""Names on a recorder, resolved so that nothing on it can lead out of it: openat2(2), one part at a time.

The kernel refuses links of every kind, `..` and other mounts. One part at a time because a path may be
longer than the kernel takes at once.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager

_OPENAT2 = 437  # the same number on every architecture
_NO_XDEV, _NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x01, 0x02, 0x04, 0x08
_RESOLVE = _NO_XDEV | _NO_MAGICLINKS | _NO_SYMLINKS | _BENEATH
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
HANDLE = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC  # takes hold without opening: opening a FIFO blocks

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _How(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def is_path(path: str) -> bool:
    """Relative, and every part a name."""
    return "\0" not in path and not any(part in ("", ".", "..") for part in path.split("/"))


def open_at(folder: int, name: str, flags: int) -> int:
    how = _How(flags, 0, _RESOLVE)
    encoded = os.fsencode(name)
    number, size = ctypes.c_long(_OPENAT2), ctypes.c_size_t(ctypes.sizeof(how))
    fd: int = _libc.syscall(number, ctypes.c_int(folder), encoded, ctypes.byref(how), size)
    if fd < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), name)
    return fd


@contextmanager
def folder_of(root: int, path: str) -> Iterator[tuple[int, str]]:
    """The descriptor of the folder that `path` lies in, and its last name."""
    *folders, name = path.split("/")
    fd = os.dup(root)
    try:
        for part in folders:
            above = fd
            fd = open_at(above, part, FOLDER)
            os.close(above)
        yield fd, name
    finally:
        os.close(fd)
