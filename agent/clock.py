"""Time that says how far it can be trusted. Intervals are monotonic and never come from here.

Every event carries wall time, boot id and whether the clock was trusted at that moment; so a log that
was written under a wrong clock can be put in order later (sequence, then boot, then time).
"""

import ctypes
import functools
import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

JUMP = 86400.0  # seconds; a clock that is only being set moves by less
OFF = 35 * 86400.0  # seconds that a station may have been off
_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_SIZE = 208  # sizeof(struct timex) on 64-bit Linux, generously the larger of all


@dataclass(frozen=True, slots=True)
class Stamp:
    wall: float  # seconds since the epoch
    boot_id: str
    trusted: bool


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def synchronised() -> bool:
    """Whether the kernel believes that some time service keeps this clock (adjtimex, read only)."""
    state = int(_libc().adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE)))
    return 0 <= state != _TIME_ERROR


class Clock:
    """The station's clock, and whether it is believed: while a time service keeps it, and it has not jumped.

    Each look is compared with the last one and the time that has passed since, suspended or not. A clock that
    jumped is believed again when it comes back to where it was, or when somebody says so. From any thread."""

    def __init__(
        self,
        synchronised: Callable[[], bool],
        wall: Callable[[], float] = time.time,
        passed: Callable[[], float] = lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
    ) -> None:
        """`passed`: seconds since any moment, never set by anybody."""
        self._synchronised, self._wall, self._passed = synchronised, wall, passed
        self._lock = threading.Lock()
        self._ahead: float | None = None  # of `passed`, by the last time that was believed
        self._last: tuple[float, float] | None = None  # the time before the restart, and `passed` at that
        self.jumped: float | None = None  # by how many seconds; None: it did not

    def stamp(self) -> Stamp:
        wall, passed = self._wall(), self._passed()
        if not self._synchronised():
            return Stamp(wall, boot_id(), False)
        with self._lock:
            if self._ahead is None:
                self._begin(wall, passed)
                self._ahead = wall - passed
            jump = wall - passed - self._ahead
            if abs(jump) > JUMP:
                self.jumped = jump
            elif self.jumped is None or not math.isinf(self.jumped):
                self.jumped, self._ahead = None, wall - passed
            return Stamp(wall, boot_id(), self.jumped is None)

    def trusted(self) -> bool:
        return self.stamp().trusted

    def remember(self, last: float) -> None:
        """Before a restart it said `last`, and was believed: it may not have gone back, and nobody leaves a
        station off for longer than OFF."""
        with self._lock:
            self._last = last, self._passed()
        self.stamp()

    def distrust(self) -> None:
        """It jumped before a restart: only a person can say that it is right."""
        with self._lock:
            self.jumped = math.inf

    def believe(self) -> None:
        """Somebody says that it is right."""
        with self._lock:
            self.jumped = self._ahead = self._last = None

    def _begin(self, wall: float, passed: float) -> None:
        """The first time that a time service keeps it."""
        if self._last is not None:
            last, since = self._last
            if not last - JUMP <= wall <= last + OFF + passed - since:
                self.jumped = math.inf


ours = Clock(lambda: synchronised())
stamp, trusted = ours.stamp, ours.trusted
