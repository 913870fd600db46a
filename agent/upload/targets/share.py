"""What a mounted share offers, and what it does not: durable names, renames that never replace.

Everything is done relative to an open folder, so a path cannot change its meaning half-way, and no
link on the share is ever followed. Network shares may lack `renameat2`, hard links or the fsync of a
folder; each has its fallback here.
"""

import ctypes
import errno
import functools
import hashlib
import os
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress

from agent.errors import AuthFailed, Rejected, StationError, TargetFull, Transient
from agent.upload.targets.base import Check

CHUNK = 1 << 20
_RENAME_NOREPLACE = 1
_NOT_OFFERED = {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK}
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}
_UNUSABLE_NAME = {errno.ENAMETOOLONG, errno.EILSEQ}
_NOT_A_FILE = {errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO}


def told(error: OSError, key: str) -> StationError:
    """What an error of the share means for the clip `key`. What is unknown may pass: it is tried again."""
    number = error.errno or 0
    name = errno.errorcode.get(number, str(number))
    if number in _FULL:
        return TargetFull(error=name)
    if number in _FORBIDDEN:
        return AuthFailed(error=name)
    if number in _UNUSABLE_NAME:
        return Rejected("target-name", key=key)
    if number == errno.EFBIG:
        return Rejected("target-too-large", key=key)
    if number in _NOT_A_FILE:
        return Rejected("target-conflict", key=key)
    return Transient(error=name)


@contextmanager
def folder(at: int, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """The folder `parts` below the open folder `at`. Raises FileNotFoundError unless `create`."""
    with ExitStack() as open_folders:
        for part in parts:
            if create:
                _make(at, part)
            at = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=at)
            open_folders.callback(os.close, at)
        yield at


def _make(at: int, name: str) -> None:
    try:
        os.mkdir(name, 0o750, dir_fd=at)
    except FileExistsError:
        return
    sync_folder(at)


@contextmanager
def opened(at: int, name: str, flags: int) -> Iterator[int]:
    """A regular file in the open folder `at`; anything else raises ELOOP, whatever it is."""
    # O_NONBLOCK: a pipe in its place must not hold us up.
    fd = os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o640, dir_fd=at)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(errno.ELOOP, "not a regular file", name)
        yield fd
    finally:
        os.close(fd)


def sync_folder(at: int) -> None:
    try:
        os.fsync(at)
    except OSError as error:
        if error.errno not in _NOT_OFFERED:  # SMB has no such call; the server orders renames itself
            raise


def drop_cache(fd: int) -> None:
    """After this, reads come from the share and not from our memory (pages that are dirty stay: so fsync)."""
    os.fsync(fd)
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def digest(fd: int, offset: int, length: int | None, check: Check) -> tuple[int, bytes]:
    """(bytes read, their SHA-256) from `offset` for `length` bytes, or to the end of the file."""
    hasher, done = hashlib.sha256(), 0
    buffer = memoryview(bytearray(CHUNK if length is None else min(CHUNK, max(length, 1))))
    while length is None or done < length:
        check()
        window = buffer if length is None else buffer[: min(len(buffer), length - done)]
        if not (count := os.preadv(fd, [window], offset + done)):
            break
        hasher.update(window[:count])
        done += count
    return done, hasher.digest()


def pieces(fd: int, check: Check) -> Iterator[bytes]:
    """From the beginning to the end of the file."""
    offset = 0
    while piece := os.pread(fd, CHUNK, offset):
        check()
        offset += len(piece)
        yield piece


def write_all(fd: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        count = os.pwrite(fd, view, offset)
        view, offset = view[count:], offset + count


def lay(temp_at: int, temp: str, at: int, name: str, data: bytes, *, replace: bool) -> None:
    """Write a small file so that it is there whole or not at all. Raises FileExistsError unless `replace`."""
    with opened(temp_at, temp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
        write_all(fd, data, 0)
        os.fsync(fd)
    if replace:
        os.rename(temp, name, src_dir_fd=temp_at, dst_dir_fd=at)
    else:
        publish(temp_at, temp, at, name)
    sync_folder(at)


def forget(at: int, name: str) -> None:
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=at)


def now(at: int) -> float:
    """What time it is on the share: this machine's clock may be decades off."""
    name = f".now.{secrets.token_hex(8)}"
    with opened(at, name, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
        forget(at, name)
        return os.fstat(fd).st_mtime


def publish(source_at: int, source: str, at: int, name: str) -> None:
    """Give `source` its name, never replacing another file: raises FileExistsError.

    The three ways end in one of two pictures after a crash besides the wanted one: `source` has two
    names (its link count says so), or `name` is an empty file that claims the place."""
    for way in (_rename_noreplace, _link_then_unlink):
        try:
            return way(source_at, source, at, name)
        except OSError as error:
            if error.errno not in _NOT_OFFERED:
                raise
    return _claim_then_rename(source_at, source, at, name)


def _rename_noreplace(source_at: int, source: str, at: int, name: str) -> None:
    call = getattr(_libc(), "renameat2", None)
    if call is None:
        raise OSError(errno.ENOSYS, "renameat2")
    if call(source_at, os.fsencode(source), at, os.fsencode(name), _RENAME_NOREPLACE):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


def _link_then_unlink(source_at: int, source: str, at: int, name: str) -> None:
    os.link(source, name, src_dir_fd=source_at, dst_dir_fd=at, follow_symlinks=False)
    os.unlink(source, dir_fd=source_at)


def _claim_then_rename(source_at: int, source: str, at: int, name: str) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o640, dir_fd=at))
    os.rename(source, name, src_dir_fd=source_at, dst_dir_fd=at)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
