"""A circuit breaker per target: no clip is thrown at a target that is down.

closed → open after a number of failures in a row, at once when the target refuses who we are → half-open
when the time is up: one clip tries it → closed, or open again for longer.
Not locked: it belongs to the scheduler, which is.
"""

import random
from enum import StrEnum

from agent.errors import AuthFailed, Retry, StationError
from agent.model import Problem
from agent.upload.retry import Backoff

FAILURES = 5  # in a row, over all clips
AUTH_PROBE = 300.0  # seconds; long, since somebody must act, and some servers lock out who insists
OPEN = Backoff(first=30.0, cap=300.0)


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """Every time is a monotonic one in seconds, given by the caller."""

    def __init__(self, rng: random.Random) -> None:
        self.problem: Problem | None = None  # of the last failure; None after a success
        self._rng = rng
        self._failures = 0
        self._openings = 0
        self._retry_at: float | None = None  # None: closed
        self._probing = False

    def state(self, now: float) -> BreakerState:
        if self._retry_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._retry_at else BreakerState.HALF_OPEN

    def retry_at(self) -> float | None:
        """When an open one lets a clip try; None when it is closed or a clip is trying."""
        return None if self._probing else self._retry_at

    def allows(self, now: float) -> bool:
        return self._retry_at is None or (not self._probing and now >= self._retry_at)

    def taken(self) -> None:
        """A clip is on its way, which `allows` said it may."""
        self._probing = self._retry_at is not None

    def succeeded(self) -> None:
        """The target did as it was asked, or answered for this one clip only."""
        self.problem = None
        self.forgive()

    def answered(self) -> None:
        """The target answered a question. That closes a breaker that waits for just that, and tells nothing
        of whether it takes clips."""
        self.succeeded() if self._probing else self.released()

    def forgive(self) -> None:
        """Try at once, whatever happened before. The problem stays until the target has answered."""
        self._failures = self._openings = 0
        self._retry_at = None
        self._probing = False

    def failed(self, error: StationError, now: float, *, suspect: bool = False) -> None:
        """`suspect`: the clip has failed before and others have passed since: the fault may be its own
        and does not count."""
        self.problem = Problem(error.key, error.params)
        self._failures += not suspect
        probed, self._probing = self._probing, False
        if isinstance(error, AuthFailed) and not suspect:
            self._retry_at = now + AUTH_PROBE
        elif probed or (self._retry_at is None and self._failures >= FAILURES):
            # Clips that were on their way when it opened do not make it stay open for longer.
            self._openings += 1
            asked = error.retry_after if isinstance(error, Retry) else None
            self._retry_at = now + OPEN.delay(self._openings, self._rng, asked)

    def released(self) -> None:
        """The clip ended without telling anything about the target."""
        self._probing = False
