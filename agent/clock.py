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
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path

JUMP = 86400.0  # seconds; a clock that is only being set moves by less
AGREES = 60.0  # seconds by which two clocks that are right may differ
FRESH = 86400.0  # seconds that a server's word is good for
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
    """The station's clock, and whether it is believed: while a time service keeps it, or it agrees with an
    authenticated server, or with what an administrator said; and it has not jumped.

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
        self._since = 0.0  # `passed` at that
        self._last: tuple[float, float] | None = None  # the time before the restart, and `passed` at that
        self._server: tuple[float, float] | None = None  # its time less `passed`, and `passed` then
        self._person: float | None = None  # the time that an administrator vouched for, less `passed`
        self.jumped: float | None = None  # by how many seconds; inf: nobody knows any more; None: it did not

    def stamp(self) -> Stamp:
        wall, passed = self._wall(), self._passed()
        if not self._vouched(wall, passed):
            return Stamp(wall, boot_id(), False)
        with self._lock:
            if self._ahead is None:
                self._begin(wall, passed)
                self._ahead, self._since = wall - passed, passed
            if self.jumped != math.inf:  # else what it is compared with may be the wrong time itself
                jump = wall - passed - self._ahead
                self.jumped = jump if abs(jump) > JUMP else None
            # Not at each look: many small steps are a large one.
            if self.jumped is None and passed - self._since >= JUMP:
                self._ahead, self._since = wall - passed, passed
            return Stamp(wall, boot_id(), self.jumped is None)

    def trusted(self) -> bool:
        return self.stamp().trusted

    def heard(self, date: str) -> None:
        """An authenticated server has just said what time it is, in an HTTP header (RFC 9110, 5.6.7)."""
        passed = self._passed()
        if self._server is not None and passed - self._server[1] < AGREES:
            return
        with suppress(ValueError, OverflowError):  # what is no time says nothing
            self._server = parsedate_to_datetime(date).timestamp() - passed, passed

    def offset(self) -> float | None:
        """Seconds by which it is ahead of the authenticated server that was heard last, to about a second, as
        a header tells no more; None when none was heard within a day."""
        wall, passed = self._wall(), self._passed()
        if self._server is None or passed - self._server[1] > FRESH:
            return None
        return wall - passed - self._server[0]

    def vouch(self, ahead: float) -> None:
        """An administrator said that it is right when it was by this much ahead of what had passed. Holds
        until it is set, or the machine is started anew."""
        self._person = ahead

    def remember(self, last: float) -> None:
        """Before a restart it said `last`, and was believed: it may not have gone back, and nobody leaves a
        station off for longer than OFF."""
        with self._lock:
            self._last = last, self._passed()

    def go_on(self, last: float, passed: float) -> None:
        """The same, when only the agent was started anew and not the machine: `passed` at that time."""
        with self._lock:
            self._ahead, self._since = last - passed, passed

    def moment(self) -> tuple[float, float]:
        """The time, and what has passed."""
        return self._wall(), self._passed()

    def distrust(self) -> None:
        """It jumped before a restart: only a person can say that it is right."""
        with self._lock:
            self.jumped = math.inf

    def believe(self, wall: float, passed: float) -> None:
        """Somebody says that it was right when it was at `wall`: what comes is compared with that."""
        with self._lock:
            self.jumped = self._last = None
            self._ahead, self._since = wall - passed, passed
            self._person = wall - passed

    def _vouched(self, wall: float, passed: float) -> bool:
        ahead = wall - passed
        if self._server is not None and passed - self._server[1] <= FRESH:
            differs = abs(ahead - self._server[0])
            # A time service is not authenticated: with the server against it, nobody knows.
            return differs <= AGREES or (differs <= JUMP and self._synchronised())
        return self._synchronised() or (self._person is not None and abs(ahead - self._person) <= AGREES)

    def _begin(self, wall: float, passed: float) -> None:
        """The first time that a time service keeps it."""
        if self._last is not None:
            last, since = self._last
            if not last - JUMP <= wall <= last + OFF + passed - since:
                self.jumped = math.inf


ours = Clock(lambda: synchronised())
stamp, trusted, heard = ours.stamp, ours.trusted, ours.heard
