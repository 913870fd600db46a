"""What else of a recorder the kernel knows, and udev has not told of yet.

LUNs spin up and partitions are examined one after the other, on a busy machine seconds apart. A recorder is
not collected while one of them is still to come: it would be taken, and what is on it never seen.
"""

from pathlib import Path

from agent.model import Device
from agent.privileged.ports import SYSFS
from agent.privileged.usb import device_above

UDEV_DATA = Path("/run/udev/data")  # one file for each device that udev has examined
_DISK = "0"  # SCSI peripheral type


def awaited(device: Device, root: Path = SYSFS, data: Path = UDEV_DATA) -> set[str]:
    """Kernel names of disks, partitions and LUNs beside `device` that are still to come."""
    if not device.sysfs:
        return set()
    sysfs = Path(device.sysfs)
    disk = sysfs.parent if (sysfs / "partition").exists() else sysfs
    base = device_above(sysfs, root) or disk
    return {p.parent.name for p in base.rglob("dev") if _unexamined(p, data)} | {
        p.parent.name for p in base.rglob("type") if _probing(p)
    }


def _unexamined(number: Path, data: Path) -> bool:
    """A block device with a medium, and without an entry of udev's."""
    try:
        sectors = int((number.parent / "size").read_text())
        return sectors > 0 and not (data / f"b{number.read_text().strip()}").exists()
    except OSError:
        return False  # no block device, or gone


def _probing(kind: Path) -> bool:
    """A SCSI disk that the kernel found, and has not made a block device of yet."""
    try:
        scsi = kind.read_text().strip() == _DISK and kind.parent.name.count(":") == 3
    except OSError:
        return False
    return scsi and not (kind.parent / "block").exists()
