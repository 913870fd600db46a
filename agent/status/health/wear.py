"""eMMC that is wearing out, by its own word (JESD84-B51, EXT_CSD 267 to 269), which sysfs shows to anybody.

SD cards tell nothing of the kind, and SATA and NVMe disks tell root alone: `recorder-station doctor` asks.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

from agent.status.health.issue import Issue, Severity
from agent.status.health.sysfs import SYSFS, text

_WEARING = 80  # percent of the writes it was made for
_WORN = 100
_SPARE_SHORT, _SPARE_GONE = 2, 3  # 80 % of the spare blocks are used; nearly all


def wear_check(sysfs: Path = SYSFS) -> Callable[[], Iterator[Issue]]:
    def check() -> Iterator[Issue]:
        for disk in sorted((sysfs / "block").glob("mmcblk*")):
            used, spare = _used(disk / "device/life_time"), _codes(disk / "device/pre_eol_info")
            worst = max(spare, default=0)
            params = {"disk": disk.name, "percent": used}
            if used >= _WORN or worst >= _SPARE_GONE:
                yield Issue("disk-worn", Severity.CRITICAL, params, disk.name)
            elif used >= _WEARING or worst == _SPARE_SHORT:
                yield Issue("disk-wearing", Severity.WARNING, params, disk.name)

    return check


def _used(file: Path) -> int:
    """Percent, of the part that is worn most. A code stands for ten of them, "at least"; 11 is all."""
    return max(((code - 1) * 10 for code in _codes(file)), default=0)


def _codes(file: Path) -> list[int]:
    """`0x01 0x02`; 0 is "not told", and what no standard knows is nothing."""
    try:
        return [code for code in (int(word, 16) for word in (text(file) or "").split()) if 0 < code <= 11]
    except ValueError:
        return []
