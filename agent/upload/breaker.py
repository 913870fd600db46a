"""A circuit breaker per target: no clip is thrown at a target that is down or full.

closed → open after a number of failures in a row, at once when the target refuses who we are or has no room
→ half-open when the time is up: one errand tries it → closed, or open again for longer.
Not locked: it belongs to the scheduler, which is. An errand is told by a number.
"""

import random
from enum import StrEnum

from agent.errors import AuthFailed, Retry, StationError, TargetFull
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
        #: What it refused was a clip: that it answers questions tells nothing of whether it takes clips.
        self.refuses_clips = False
        self._rng = rng
        self._failures = 0
        self._openings = 0
        self._retry_at: float | None = None  # None: closed
        self._trying: int | None = None  # the errand that is to find out
        self._decides = True  # whether an answer to it is enough

    def state(self, now: float) -> BreakerState:
        if self._retry_at is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._retry_at else BreakerState.HALF_OPEN

    def retry_at(self) -> float | None:
        """When an open one lets an errand try; None when it is closed or one is trying."""
        return None if self._trying is not None else self._retry_at

    def allows(self, now: float) -> bool:
        return self._retry_at is None or (self._trying is None and now >= self._retry_at)

    def taken(self, errand: int, *, decides: bool = True) -> None:
        """It is on its way, which `allows` said it may. `decides`: an answer to it is enough to close."""
        if self._retry_at is not None:
            self._trying, self._decides = errand, decides

    def succeeded(self) -> None:
        """The target did as it was asked, or answered for this one clip only."""
        self.problem = None
        self.forgive()

    def answered(self, errand: int) -> None:
        """The target answered a question, which tells nothing of whether it takes clips."""
        if self._trying == errand and self._decides:
            self.succeeded()
        self.released(errand)

    def forgive(self) -> None:
        """Try at once, whatever happened before. The problem stays until the target has answered."""
        self._failures = self._openings = 0
        self._retry_at = None
        self._trying = None
        self.refuses_clips = False

    def failed(
        self, errand: int, error: StationError, now: float, *, suspect: bool = False, clip: bool = True
    ) -> None:
        """`suspect`: the clip has failed before and others have passed since: the fault may be its own
        and does not count. `clip`: it was a clip that was to be sent, and no question."""
        self.problem = Problem(error.key, error.params)
        self._failures += not suspect
        tried = self._trying == errand
        self.released(errand)
        if isinstance(error, AuthFailed) and not suspect:
            self._retry_at = now + AUTH_PROBE
        elif tried or (self._retry_at is None and self._is_enough(error, suspect)):
            # Clips that were on their way when it opened do not make it stay open for longer.
            self._openings += 1
            asked = error.retry_after if isinstance(error, Retry) else None
            self._retry_at = now + OPEN.delay(self._openings, self._rng, asked)
        self.refuses_clips |= clip and self._retry_at is not None

    def released(self, errand: int) -> None:
        """It ended without telling anything about the target."""
        if self._trying == errand:
            self._trying = None

    def _is_enough(self, error: StationError, suspect: bool) -> bool:
        return self._failures >= FAILURES or (isinstance(error, TargetFull) and not suspect)
