"""A station that is too hot: it slows down first, and its disk dies early."""

from collections.abc import Callable, Iterator
from pathlib import Path

from agent.status.health.issue import Issue, Severity
from agent.status.health.sysfs import SYSFS, number

_HOT = 80  # °C: a Raspberry Pi slows down from here on
_NONSENSE = 150  # °C: what a sensor says that measures nothing


def heat_check(sysfs: Path = SYSFS) -> Callable[[], Iterator[Issue]]:
    def check() -> Iterator[Issue]:
        zones = (sysfs / "class/thermal").glob("thermal_zone*/temp")
        degrees = [milli / 1000 for zone in zones if (milli := number(zone)) is not None]
        hottest = max((each for each in degrees if each < _NONSENSE), default=0.0)
        if hottest > _HOT:
            yield Issue("too-hot", Severity.WARNING, {"celsius": round(hottest)})

    return check
