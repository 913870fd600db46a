"""What this machine can do. A test that needs more than Python says so by `require("loop", …)` and is
skipped elsewhere with a text that stays the same; `python -m tests.here` lists what cannot be tested here.

A probe returns why the machine cannot do it, or "" when it can; it tries the thing itself and leaves nothing.
"""

import ctypes
import functools
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

NETLINK_KOBJECT_UEVENT = 15
UDEVD = Path("/lib/systemd/systemd-udevd")


def _said(command: list[str]) -> str:
    """Why `command` failed: the last line it said; "" when it did not."""
    try:
        ran = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as e:
        return f"{command[0]}: {e.strerror}"
    said = (ran.stderr or ran.stdout).strip().splitlines()
    return "" if ran.returncode == 0 else (said[-1] if said else f"{command[0]} ended with {ran.returncode}")


def _program(name: str) -> str:
    return "" if shutil.which(name) else f"no {name}"


def _root() -> str:
    return "" if os.geteuid() == 0 else "not root"


def _kernel_module(name: str) -> str:
    """Without loading it: a test that mounts does that by itself."""
    if name in Path("/proc/filesystems").read_text().split():
        return ""
    return _said(["modprobe", "--dry-run", "--quiet", name]) and f"no {name} in this kernel"


@contextmanager
def _folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="recorder-station-probe-") as folder:
        yield Path(folder)


def _loop() -> str:
    if why := _root() or _program("losetup"):
        return why
    with _folder() as folder:
        (folder / "image").write_bytes(bytes(1 << 20))
        made = subprocess.run(
            ["losetup", "--find", "--show", folder / "image"], capture_output=True, text=True, check=False
        )
        if made.returncode:
            return f"no loop devices: {made.stderr.strip()}"
        return _said(["losetup", "--detach", made.stdout.strip()])


def _on_loop(fs: str) -> str:
    return _loop() or _program(f"mkfs.{fs}") or _kernel_module(fs)


def _tmpfs() -> str:
    if why := _root():
        return why
    with _folder() as folder:
        return _said(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]) or _said(
            ["umount", str(folder)]
        )


def _udevd() -> str:
    """Whether a test can start one."""
    return _root() or _program("udevadm") or ("" if UDEVD.exists() else "no systemd-udevd")


def _udev_netlink() -> str:
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_KOBJECT_UEVENT) as probe:
            probe.bind((0, 2))  # the group that udevd sends to
    except OSError as e:
        return f"no udev events: {e.strerror}"
    return ""


def _unshare() -> str:
    return _said(["unshare", "--mount", "--propagation", "private", "true"])


def _qemu() -> str:
    """Everything that a virtual station takes beside its image; the rest comes with what is asked for."""
    programs = ("qemu-system-x86_64", "mcopy", "sfdisk", "mke2fs", "mkfs.fat", "mkfs.exfat", "mkntfs")
    firmware = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
    return next(filter(None, map(_program, programs)), "") or ("" if firmware.exists() else "no OVMF")


def _image() -> str:
    if not (path := os.environ.get("RECORDER_STATION_IMAGE")):
        return "no image: RECORDER_STATION_IMAGE names none, scripts/test --vm builds one"
    return "" if Path(path).is_file() else "no image: RECORDER_STATION_IMAGE is no file"


def _seccomp() -> str:
    try:
        ctypes.CDLL("libseccomp.so.2")
    except OSError as e:
        return f"no libseccomp: {e}"
    return ""


def _network() -> str:
    """An address of its own beside the loopback one; nothing is sent."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(("192.0.2.1", 9))
    except OSError as e:
        return f"no network: {e.strerror}"
    return ""


def _node() -> str:
    """For a server that is tested against; its modules come from a lock."""
    if why := _program("node") or _program("npm"):
        return why
    oldest = "process.exit(Number(process.versions.node.split('.')[0] < 20))"
    return "Node is older than 20" if _said(["node", "-e", oldest]) else ""


def _go_note() -> str:
    """Go with its own notes and logs, as Debian packages them."""
    there = Path("/usr/share/gocode/src/golang.org/x/mod/sumdb/note").is_dir()
    return _program("go") or ("" if there else "no golang.org/x/mod in /usr/share/gocode")


CAPABILITIES: dict[str, Callable[[], str]] = {
    "root": _root,
    "loop": _loop,
    "ext4": lambda: _on_loop("ext4"),
    "vfat": lambda: _on_loop("vfat"),
    "exfat": lambda: _on_loop("exfat"),
    "fat-tools": lambda: next(filter(None, map(_program, ("mkfs.fat", "fsck.fat", "mcopy"))), ""),
    "exfat-tools": lambda: _program("mkfs.exfat") or _program("fsck.exfat"),
    "tmpfs": _tmpfs,
    "unshare": _unshare,
    "udevadm": lambda: _program("udevadm"),
    "udevd": _udevd,
    "udev-netlink": _udev_netlink,
    "openssl": lambda: _program("openssl"),
    "rauc": lambda: _root() or _program("rauc") or _program("mksquashfs") or _program("unsquashfs"),
    "systemd-analyze": lambda: _program("systemd-analyze"),
    "seccomp": _seccomp,
    "ffprobe": lambda: _program("ffprobe"),
    "node": _node,
    "go-note": _go_note,
    "rclone": lambda: _program("rclone"),
    "unzip": lambda: _program("unzip"),
    "network": _network,
    "promtool": lambda: _program("promtool"),
    "prometheus": lambda: _program("prometheus"),
    "chromium": lambda: _program("chromium"),
    "qemu": _qemu,
    "image": _image,
}


@functools.cache
def lacking(name: str) -> str:
    """Why this machine has no `name`; "" when it has."""
    return CAPABILITIES[name]()


def require(*names: str) -> None:
    """Skip the calling test, fixture or module unless this machine has all of `names`."""
    for name in names:
        if why := lacking(name):
            pytest.skip(f"needs {name}: {why}", allow_module_level=True)


def report() -> list[str]:
    """One line for each thing that cannot be tested here."""
    return [f"cannot be tested here: {name} ({why})" for name in CAPABILITIES if (why := lacking(name))]


if __name__ == "__main__":
    print("\n".join(report()) or "everything can be tested here")
