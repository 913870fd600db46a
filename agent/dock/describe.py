"""What udev says about a block device, as a Device. Pure but for two looks into sysfs."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

from agent.model import Device, DeviceKind
from agent.privileged import ports

# Partitions that never hold clips: extended ones (they only contain others), Microsoft's reserved one.
_HOLLOW = frozenset({"0x5", "0xf", "0x85", "e3c9e316-0b5c-4db8-817d-f92df00215ae"})


def describe(properties: Mapping[str, str], sysfs: str, root: Path = ports.SYSFS) -> Device | None:
    """None when there is nothing to read: no medium, the CD that some recorders show with their maker's
    programs, or a disk that has partitions (each is reported itself). A partition or disk without a file
    system that can be mounted is a DISK."""
    kind = _kind(properties, Path(sysfs))
    if kind is None:
        return None
    socket = ports.locate(properties.get("ID_PATH", ""), sysfs, root)
    return Device(
        node=properties["DEVNAME"],
        kind=kind,
        port=socket.port,
        lun=socket.lun,
        sysfs=sysfs,
        fs_type=properties.get("ID_FS_TYPE", ""),
        fs_uuid=properties.get("ID_FS_UUID", ""),
        fs_label=decoded(properties.get("ID_FS_LABEL_ENC", "")),
        vendor_id=_usb(properties, "VENDOR_ID"),
        product_id=_usb(properties, "MODEL_ID"),
        model=decoded(_usb(properties, "MODEL_ENC")).strip() or _usb(properties, "MODEL"),
        serial=_usb(properties, "SERIAL_SHORT"),
    )


def decoded(value: str) -> str:
    r"""udev writes what is not plain as `\x20`, byte by byte. A label that is no UTF-8 was written by a
    Chinese system on FAT: GBK; what is neither keeps its bytes as surrogates."""
    found = re.sub(rb"\\x([0-9a-fA-F]{2})", lambda code: bytes.fromhex(code[1].decode()), os.fsencode(value))
    for encoding in ("utf-8", "gbk"):
        try:
            return found.decode(encoding)
        except UnicodeDecodeError:
            continue
    return os.fsdecode(found)


def _kind(properties: Mapping[str, str], sysfs: Path) -> DeviceKind | None:
    if _size(sysfs) == 0 or properties.get("ID_CDROM") == "1":
        return None
    if properties.get("ID_FS_USAGE") == "filesystem":
        return DeviceKind.VOLUME
    partition = properties.get("DEVTYPE") == "partition"
    if partition and properties.get("ID_PART_ENTRY_TYPE", "").lower() in _HOLLOW:
        return None
    if not partition and any(sysfs.glob("*/partition")):
        return None
    return DeviceKind.DISK


def _size(sysfs: Path) -> int:
    """Sectors; 0 when the device is gone."""
    try:
        return int((sysfs / "size").read_text())
    except OSError:
        return 0


def _usb(properties: Mapping[str, str], name: str) -> str:
    """Kernels and udevs differ in whether a bridge's own words or USB's are in the plain property."""
    return properties.get("ID_USB_" + name) or properties.get("ID_" + name, "")
