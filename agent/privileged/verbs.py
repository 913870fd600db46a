"""What only root may do with a recorder: mount it read-only, unmount it, disconnect it.

Every verb raises OSError with the kernel's errno and nothing else. None of them waits for a recorder
longer than the kernel does; a call that is stuck in it ends when the recorder is disconnected.
"""

import contextlib
import ctypes
import errno
import fcntl
import os
import re
import stat
import time
from pathlib import Path

from agent.privileged.usb import device_above, scsi_above

SYSFS = Path("/sys")
_MOUNTS = Path("/proc/self/mountinfo")

_BLKROSET = 0x125D
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_NOSYMFOLLOW = 1, 2, 4, 8, 256
_FLAGS = _MS_RDONLY | _MS_NOSUID | _MS_NODEV | _MS_NOEXEC | _MS_NOSYMFOLLOW
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


def mount_readonly(node: str, fs_type: str, mountpoint: Path, uid: int, gid: int) -> None:
    """Make `mountpoint` and mount `node` there, after the device itself is set read-only.

    EBUSY: this machine uses the disk itself. EINVAL: not one of MOUNTABLE, or not such a file system."""
    if fs_type not in _KINDS:
        raise OSError(errno.EINVAL, f"file system {fs_type!r} is not mounted here")
    kind, options = _KINDS[fs_type]
    _set_readonly(node)
    mountpoint.mkdir(mode=0o700, parents=True, exist_ok=True)
    data = options.format(uid=uid, gid=gid)
    paths = os.fsencode(node), os.fsencode(mountpoint)
    try:
        _check(_libc.mount(*paths, kind.encode(), ctypes.c_ulong(_FLAGS), data.encode()), node)
    except OSError:
        mountpoint.rmdir()
        raise


def unmount(mountpoint: Path) -> None:
    """Unmount and remove the folder. Never lazily: a mount that only looks gone still holds its device.

    EBUSY when somebody keeps it open for longer than a few seconds."""
    until = time.monotonic() + _BUSY_SECONDS
    while mountpoint in mounted_below(mountpoint.parent):
        try:
            _check(_libc.umount2(os.fsencode(mountpoint), _UMOUNT_NOFOLLOW), str(mountpoint))
        except OSError as e:
            if e.errno != errno.EBUSY or time.monotonic() > until:
                raise
            time.sleep(0.1)
    with contextlib.suppress(FileNotFoundError):
        mountpoint.rmdir()


def mounted_below(folder: Path, table: Path = _MOUNTS) -> list[Path]:
    """What is mounted beneath `folder`, the latest mount first, so that it can be unmounted in this order."""
    lines = table.read_bytes().splitlines()
    points = [Path(os.fsdecode(_unescaped(line.split(b" ")[4]))) for line in lines]
    return [point for point in reversed(points) if folder in point.parents]


def disconnect(sysfs: Path, root: Path = SYSFS) -> Path | None:
    """Take the recorder above the block device `sysfs` off its bus, which ends all I/O that waits for it.

    Returns its USB device, which stays in sysfs until the recorder is pulled; None when it is on no USB
    (then its SCSI device is removed). ENODEV: it is on neither."""
    if usb := device_above(sysfs, root):
        (usb / "authorized").write_text("0")
        return usb
    if scsi := scsi_above(sysfs, root):
        (scsi / "delete").write_text("1")
        return None
    raise OSError(errno.ENODEV, "nothing to disconnect", str(sysfs))


def _set_readonly(node: str) -> None:
    """Sets the device read-only, after a claim on it (O_EXCL), which fails while the machine has it
    mounted or in use. For a partition its whole disk is claimed first: that fails while any part of the
    disk is in use, so the station's own disk is never touched."""
    status = os.lstat(node)
    if not stat.S_ISBLK(status.st_mode):
        raise OSError(errno.ENOTBLK, os.strerror(errno.ENOTBLK), node)
    here = SYSFS / "dev/block" / f"{os.major(status.st_rdev)}:{os.minor(status.st_rdev)}"
    if (here / "partition").exists():
        os.close(_claim("/dev/" + here.resolve().parent.name.replace("!", "/")))
    fd = _claim(node)
    try:
        fcntl.ioctl(fd, _BLKROSET, (1).to_bytes(4, "little"))
    finally:
        os.close(fd)


def _claim(node: str) -> int:
    return os.open(node, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW)


def _unescaped(path: bytes) -> bytes:
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), path)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), what)
