"""What the operating system must be asked for so that a file survives a power cut.

Ground floor. `fsync` on a file says nothing about its name: the folder must be synced as well, and
the folder above when the folder is new.
"""

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

#: Plain text where ten thousand small files come by: a Path costs as much as the call that it is made for.
Name = str | Path

_libc = ctypes.CDLL(None, use_errno=True)
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


def rename_noreplace(source: Name, target: Name) -> None:
    """Rename on one file system. Raises FileExistsError instead of replacing `target`."""
    done = _libc.renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_NOREPLACE)
    if done != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), os.fspath(target))


def sync_file_system(folder: Path) -> None:
    """Bring everything written to the file system of `folder` to its disk; raises OSError when any
    write-back failed (Linux 5.8). One call in place of thousands of fsyncs."""
    with folder_fd(folder) as fd:
        if _libc.syncfs(fd) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), os.fspath(folder))


def sync_folder(folder: Path) -> None:
    with folder_fd(folder) as fd:
        os.fsync(fd)


def make_folders(folder: Path, root: Path) -> list[Path]:
    """Create `folder` below `root`; return all folders from it up to `root`, for a sync."""
    if not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
    way = [folder, *folder.parents]
    return way[: way.index(root) + 1]


def write_file(path: Path, data: bytes) -> None:
    """Put `data` under `path` as a whole or not at all, and on disk when this returns."""
    aside = path.with_name(path.name + ".tmp")
    with aside.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    sync_folder(path.parent)


def drop_cache(fd: int, offset: int = 0, length: int = 0) -> None:
    """Forget the cached pages of a file (0: to its end) as far as they are on the disk: the next read comes
    from there, and the memory is free. Of those that are not, the writing begins."""
    os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)


def opener(path: str, flags: int) -> int:
    """For `open`: never through a link, and never waiting for who is at the other end of a pipe."""
    return os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)


@contextlib.contextmanager
def folder_fd(folder: Path) -> Iterator[int]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_fd(path: Name, flags: int) -> Iterator[int]:
    """A file of the store by descriptor; never through a link."""
    fd = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)
    try:
        yield fd
    finally:
        os.close(fd)
