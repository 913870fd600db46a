"""The kernel's part: a recorder's device claimed, set read-only, mounted, unmounted.

Everything raises OSError with the kernel's errno and nothing else. Nothing here waits for a recorder longer
than the kernel does; a call that is stuck in it ends when the recorder is disconnected.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from agent.privileged.find import Block, number

MOUNTINFO = Path("/proc/self/mountinfo")
DEV = Path("/dev")

_BLKROSET, _BLKGETDISKSEQ = 0x125D, 0x80081280
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_NOSYMFOLLOW, _MS_NOATIME = 1, 2, 4, 8, 256, 1024
_GUARDED = _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_NOSYMFOLLOW
_UMOUNT_NOFOLLOW = 8
_BUSY_SECONDS = 5.0  # how long somebody else's look into the mount may hold up its end

# The owner's write bit stays in the mask (the mount is read-only anyway): it is how FAT shows the lock that
# marks a file as important.
# A damaged file system must never panic the machine, whatever its superblock asks for (`errors=`), and its
# journal must stay as it is (`noload`). utf8=1 beside iocharset: else characters beyond 16 bits are lost.
_EXT = "errors=remount-ro"
_OWNED = "uid={uid},gid={gid},umask=0077,iocharset=utf8"
_KINDS = {
    "vfat": ("vfat", _OWNED + ",utf8=1,codepage=936,tz=UTC"),
    "exfat": ("exfat", _OWNED),
    "ntfs": ("ntfs3", _OWNED),
    "ext2": ("ext2", _EXT),
    "ext3": ("ext3", "noload," + _EXT),
    "ext4": ("ext4", "noload," + _EXT),
}
MOUNTABLE = frozenset(_KINDS)  # as ID_FS_TYPE calls them

_libc = ctypes.CDLL(None, use_errno=True)


class Mounted(NamedTuple):
    number: str  # of the device: 8:17
    root: str  # what of the file system is mounted: "/" is all of it
    point: Path


class Device:
    """A recorder's volume with its disk, held open: while it is, the kernel gives their names and numbers to
    no other one. So what was found by name stays what it is until the end of the `with` block."""

    def __init__(self, block: Block, diskseq: int, disk: int, part: int, node: Path) -> None:
        self.block = block
        self.node = node
        self._diskseq = diskseq
        self._disk = disk
        self._part = part

    def check(self) -> None:
        """ESTALE: another medium is in it by now."""
        if _diskseq(self._disk) not in (0, self._diskseq):
            raise OSError(errno.ESTALE, "another disk took its place")

    def claim(self) -> None:
        """EBUSY while any part of the disk is in use: the station's own disk is never touched."""
        for sysfs in {self.block.disk, self.block.sysfs}:
            os.close(os.open(_node(sysfs), _LOOK | os.O_EXCL))

    def set_readonly(self, on: bool) -> None:
        """The disk and the partition: one alone would leave a way to write around it."""
        for fd in (self._disk, self._part):
            fcntl.ioctl(fd, _BLKROSET, int(on).to_bytes(4, "little"))

    @property
    def number(self) -> str:
        return (self.block.sysfs / "dev").read_text().strip()


_LOOK = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW


@contextmanager
def held(block: Block, diskseq: int) -> Iterator[Device]:
    """Raises ESTALE, ENODEV when it is not this disk any more, ENOTBLK."""
    with contextlib.ExitStack() as stack:
        disk = _open(block.disk, stack)
        part = disk if block.sysfs == block.disk else _open(block.sysfs, stack)
        device = Device(block, diskseq, disk, part, _node(block.sysfs))
        if number(block.disk / "diskseq") != diskseq:
            raise OSError(errno.ESTALE, "another disk took its place")
        device.check()
        yield device


def _open(sysfs: Path, stack: contextlib.ExitStack) -> int:
    node = _node(sysfs)
    fd = os.open(node, _LOOK)
    stack.callback(os.close, fd)
    status = os.fstat(fd)
    if not stat.S_ISBLK(status.st_mode):
        raise OSError(errno.ENOTBLK, os.strerror(errno.ENOTBLK), str(node))
    if f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}" != (sysfs / "dev").read_text().strip():
        raise OSError(errno.ENODEV, "its node is another device's", str(node))
    return fd


def _node(sysfs: Path) -> Path:
    return DEV / sysfs.name.replace("!", "/")


def _diskseq(fd: int) -> int:
    """0: this kernel has no such number."""
    answer = bytearray(8)
    try:
        fcntl.ioctl(fd, _BLKGETDISKSEQ, answer)
    except OSError as e:
        if e.errno != errno.ENOTTY:
            raise
    return int.from_bytes(answer, "little")


def mount_readonly(device: Device, point: Path, uid: int, gid: int) -> None:
    """EINVAL: not one of MOUNTABLE, or not such a file system."""
    kind, options = kind_of(device.block.fs_type)
    _mount(device.node, point, kind, _GUARDED | _MS_RDONLY, options.format(uid=uid, gid=gid))


def mount_writable(device: Device, point: Path) -> None:
    """For root's eyes only. A journal is replayed: without that nothing may be written."""
    kind, options = kind_of(device.block.fs_type)
    options = options.removeprefix("noload,").format(uid=0, gid=0)
    _mount(device.node, point, kind, _GUARDED | _MS_NOATIME, options)


def kind_of(fs_type: str) -> tuple[str, str]:
    if fs_type not in _KINDS:
        raise OSError(errno.EINVAL, f"file system {fs_type!r} is not mounted here")
    return _KINDS[fs_type]


def _mount(node: Path, point: Path, kind: str, flags: int, data: str) -> None:
    paths = os.fsencode(node), os.fsencode(point)
    _check(_libc.mount(*paths, kind.encode(), ctypes.c_ulong(flags), data.encode()), str(node))


def unmount(point: Path, patience: float = _BUSY_SECONDS) -> None:
    """Unmount and remove the folder. Never lazily: a mount that only looks gone still holds its device.

    EBUSY when somebody keeps it open for longer than a few seconds."""
    end_mount(point, patience)
    with contextlib.suppress(FileNotFoundError):
        point.rmdir()


def end_mount(point: Path, patience: float = _BUSY_SECONDS) -> None:
    """Unmount, and leave the folder."""
    until = time.monotonic() + patience
    while point in mounted_below(point.parent):
        try:
            _check(_libc.umount2(os.fsencode(point), _UMOUNT_NOFOLLOW), str(point))
        except OSError as e:
            if e.errno != errno.EBUSY or time.monotonic() > until:
                raise
            time.sleep(0.1)


def mounted_below(folder: Path, table: Path = MOUNTINFO) -> list[Path]:
    """What is mounted beneath `folder`, the latest mount first, so that it can be unmounted in this order."""
    return [mount.point for mount in reversed(mounts(table)) if folder in mount.point.parents]


def mounts(table: Path = MOUNTINFO) -> list[Mounted]:
    """All of this mount namespace, oldest first."""
    lines = [line.split(b" ") for line in table.read_bytes().splitlines()]
    return [Mounted(line[2].decode(), _text(line[3]), Path(_text(line[4]))) for line in lines]


def _text(path: bytes) -> str:
    return os.fsdecode(re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), path))


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
