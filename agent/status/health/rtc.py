"""The clock that goes on while the station is off. Without it, or when it is wrong, a station that starts
without a network does not know what time it is."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.status.health.issue import Issue, Severity
from agent.status.health.sysfs import SYSFS, number, text

_OFF = 60  # seconds: by as much a clock at start may be wrong and still be believed


def rtc_check(
    trusted: Callable[[], bool], sysfs: Path = SYSFS, wall: Callable[[], float] = time.time
) -> Callable[[], Iterator[Issue]]:
    """`trusted`: whether the system's clock is right; else there is nothing to compare with."""

    def check() -> Iterator[Issue]:
        clock = _clock(sysfs)
        if clock is None:
            yield Issue("rtc-missing", Severity.INFO)
            return
        now = number(clock / "since_epoch")
        if now is None:  # the kernel refuses to read one that lost its power
            yield Issue("rtc-unset", Severity.WARNING, {"clock": clock.name})
        elif trusted() and abs(off := now - wall()) > _OFF:
            params = {"clock": clock.name, "seconds": round(abs(off))}
            yield Issue("rtc-off", Severity.WARNING, params)

    return check


def _clock(sysfs: Path) -> Path | None:
    """The one that the kernel sets its own by, else the first."""
    clocks = sorted((sysfs / "class/rtc").glob("rtc*"))
    return next((each for each in clocks if text(each / "hctosys") == "1"), clocks[0] if clocks else None)
