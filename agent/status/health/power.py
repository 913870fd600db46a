"""Too little voltage, as a Raspberry Pi measures it: disks and recorders drop out, and writes go wrong."""

from collections.abc import Callable, Iterator
from pathlib import Path

from agent.status.health.issue import Issue, Severity
from agent.status.health.sysfs import SYSFS, number, text

_NOW, _BEFORE = 1 << 0, 1 << 16  # bits of the firmware's word: right now; since the start
_FIRMWARE = "devices/platform/soc/soc:firmware/get_throttled"


def power_check(sysfs: Path = SYSFS) -> Callable[[], Iterator[Issue]]:
    def check() -> Iterator[Issue]:
        word = number(sysfs / _FIRMWARE, 16) or 0
        if word & _NOW or any(_alarms(sysfs)):
            yield Issue("power-undervoltage", Severity.CRITICAL)
        elif word & _BEFORE:
            yield Issue("power-undervoltage-before", Severity.WARNING)

    return check


def _alarms(sysfs: Path) -> Iterator[bool]:
    """Of the kernel's own driver, which asks the firmware every two seconds."""
    for monitor in (sysfs / "class/hwmon").glob("hwmon*"):
        if text(monitor / "name") == "rpi_volt":
            yield from (text(alarm) == "1" for alarm in monitor.glob("in*_lcrit_alarm"))
