"""From a socket of the rack to the one device that is in it.

Who asks names a socket, never a device: the kernel's sysfs and udev's database say what is there, and only
what our udev rules gave the tag counts. Everything raises OSError; ENODEV when there is no such thing.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from agent.privileged import udevdata
from agent.privileged.ports import SYSFS, Socket, locate
from agent.privileged.udevdata import Entry
from agent.privileged.usb import device_above, scsi_above

TAG = "recorder-station"
# What the rules of the USB guard wrote down of a device that they judged.
_REFUSED, _VERDICT, _ALLOWED = "RECORDER_STATION_REFUSED", "RECORDER_STATION_GUARD", "allowed"


class Volume(NamedTuple):
    """A disk or partition of a recorder, as both sides call it."""

    port: str  # the physical socket, e.g. pci-0000:00:14.0-usb-0:3.2
    lun: int
    partition: int  # 0: the whole disk
    diskseq: int  # the kernel's number of this very disk, not of one that took its place; 0: it has none


@dataclass(frozen=True, slots=True)
class Block:
    """A block device that carries our tag."""

    sysfs: Path
    entry: Entry

    @property
    def disk(self) -> Path:
        return self.sysfs.parent if self.partition else self.sysfs

    @property
    def partition(self) -> int:
        return number(self.sysfs / "partition")

    @property
    def diskseq(self) -> int:
        return number(self.disk / "diskseq")

    @property
    def fs_type(self) -> str:
        return self.entry.properties.get("ID_FS_TYPE", "")


@dataclass(frozen=True, slots=True)
class Finder:
    tag: str = TAG
    sysfs: Path = SYSFS
    data: Path = udevdata.DATA

    def volume(self, wanted: Volume) -> Block:
        here = self._disks_in(wanted.port)
        found = [disk for disk, lun in here if (lun, disk.diskseq) == (wanted.lun, wanted.diskseq)]
        if len(found) != 1:
            raise OSError(errno.ENODEV, f"{len(found)} such disks are in this socket")
        if not wanted.partition:
            return found[0]
        for child in found[0].sysfs.iterdir():
            if number(child / "partition") == wanted.partition and (part := self._tagged(child)):
                return part
        raise OSError(errno.ENODEV, f"no partition {wanted.partition} is in this socket")

    def by_number(self, device: str) -> Block:
        """The block device `8:17`, if it is one of ours."""
        found = self._tagged((self.sysfs / "dev/block" / device).resolve())
        if found is None:
            raise OSError(errno.ENODEV, f"block device {device} is no recorder")
        return found

    def scsi(self, port: str) -> list[Path]:
        """SCSI devices of the disks in a socket that is not on USB."""
        disks = [disk.sysfs for disk, _ in self._disks_in(port)]
        return [scsi for disk in disks if (scsi := scsi_above(disk, self.sysfs))]

    def usb(self, port: str) -> Path | None:
        """The USB device in a socket; None without one. EEXIST: two say that they are there.

        Found by its disks, or by what udev wrote down of itself: one that was disconnected has no disk."""
        disks = [disk.sysfs for disk, _ in self._disks_in(port)]
        found = {usb for disk in disks if (usb := device_above(disk, self.sysfs))}
        found |= {usb for usb, entry in self._usb_devices() if self._socket(usb, entry).port == port}
        if len(found) > 1:
            raise OSError(errno.EEXIST, f"{len(found)} USB devices are in this socket")
        return next(iter(found), None)

    def allowed_usb(self, port: str) -> Path:
        """The USB device in a socket that the guard's rules let in. EACCES when they did not."""
        usb = self.usb(port)
        entry = udevdata.entry(usb, self.data) if usb else None
        if usb is None or entry is None:
            raise OSError(errno.ENODEV, "no USB device is in this socket")
        if _REFUSED in entry.properties or entry.properties.get(_VERDICT) != _ALLOWED:
            raise OSError(errno.EACCES, "the USB guard did not allow this device")
        return usb

    def _disks_in(self, port: str) -> Iterator[tuple[Block, int]]:
        """With their LUNs."""
        for link in (self.sysfs / "class/block").iterdir():
            found = self._tagged(link.resolve())
            if found is not None and not found.partition:
                socket = self._socket(found.sysfs, found.entry)
                if socket.port == port:
                    yield found, socket.lun

    def _tagged(self, sysfs: Path) -> Block | None:
        entry = udevdata.entry(sysfs, self.data)
        return Block(sysfs, entry) if entry and self.tag in entry.tags else None

    def _usb_devices(self) -> Iterator[tuple[Path, Entry]]:
        bus = self.sysfs / "bus/usb/devices"
        for link in bus.iterdir() if bus.is_dir() else ():
            sysfs = link.resolve()
            if device_above(sysfs, self.sysfs) != sysfs or _is_hub(sysfs):
                continue  # an interface or a bus; more than one socket
            known = udevdata.entry(sysfs, self.data)
            if known and "ID_PATH" in known.properties:
                yield sysfs, known

    def _socket(self, sysfs: Path, entry: Entry) -> Socket:
        try:
            return locate(entry.properties.get("ID_PATH", ""), str(sysfs), self.sysfs)
        except OSError:
            return Socket("", 0)  # it vanishes while it is looked at: that is nobody's fault but its own


def _is_hub(usb: Path) -> bool:
    """A hub holds more than one socket: it is nobody's recorder."""
    try:
        return (usb / "bDeviceClass").read_text().strip() == "09"
    except OSError:
        return False


def number(file: Path) -> int:
    """0 when the file is not there, or holds none."""
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return 0
