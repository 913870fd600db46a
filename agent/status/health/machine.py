"""What is judged by the machine alone: the agent looks at it now and then, and `doctor` without one, too."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from agent.status.health.certificates import Kept, certificates_check
from agent.status.health.heat import heat_check
from agent.status.health.issue import Check
from agent.status.health.power import power_check
from agent.status.health.rtc import rtc_check
from agent.status.health.sysfs import SYSFS
from agent.status.health.wear import wear_check
from agent.status.remembered import Remembered

_SOON = 30.0  # seconds that an answer holds which may change at any moment
_LATER = 600.0
_HOUR = 3600.0


def machine_checks(
    certificates: Callable[[], Iterable[Kept]],
    trusted: Callable[[], bool],
    sysfs: Path = SYSFS,
    wall: Callable[[], float] = time.time,
) -> Mapping[str, Check]:
    """By name. `trusted`: whether the system's clock is right."""
    return {
        "wear": _held(wear_check(sysfs), _HOUR),
        "rtc": _held(rtc_check(trusted, sysfs, wall), _LATER),
        "power": _held(power_check(sysfs), _SOON),
        "heat": _held(heat_check(sysfs), _SOON),
        "certificates": _held(certificates_check(certificates, trusted, wall), _LATER),
    }


def _held(check: Check, seconds: float) -> Check:
    return Remembered(lambda: list(check()), seconds)
