"""Where in sysfs a block device hangs on USB."""

import re
from pathlib import Path

_DEVICE = re.compile(r"\d+-\d+(\.\d+)*")  # 1-3.2; neither an interface (1-3.2:1.0) nor a root hub (usb1)
_SCSI = re.compile(r"\d+:\d+:\d+:\d+")


def device_above(sysfs: Path, root: Path) -> Path | None:
    """The nearest USB device over a (resolved) path of sysfs; None outside `root` or without USB."""
    return _above(sysfs, root, _DEVICE)


def scsi_above(sysfs: Path, root: Path) -> Path | None:
    return _above(sysfs, root, _SCSI)


def _above(sysfs: Path, root: Path, name: re.Pattern[str]) -> Path | None:
    at, end = sysfs.resolve(), root.resolve()
    if not at.is_relative_to(end):
        return None
    while at != end:
        if name.fullmatch(at.name):
            return at
        at = at.parent
    return None
