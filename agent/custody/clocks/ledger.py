"""The clock ledger, filled at each docking and read: how far a recorder's clock is off, and how it drifts."""

import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from agent.catalog import clocks
from agent.custody.clocks.interval import Interval, Offset, drift, offset, since_set

#: Seconds off, and seconds a day, beyond which a clock is told to be wrong. The second is the error that
#: GA/T 947.2 allows.
OFF, PACE = 60.0, 3.0
Kept = tuple[clocks.Compared, float, float | None]


@dataclass(frozen=True, slots=True)
class Standing:
    """`ahead` at the last docking; `drift` in seconds a day since the clock was set last."""

    recorder: str
    dockings: int
    at: float
    ahead: Interval
    drift: Interval

    @property
    def wrong(self) -> bool:
        """Proven, not feared."""
        return self.ahead.outside(OFF) or self.drift.outside(PACE)

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON: `null` where nothing bounds an interval."""
        return {
            "recorder": self.recorder,
            "dockings": self.dockings,
            "docked": self.at,
            "ahead_seconds": _bounds(self.ahead),
            "drift_seconds_a_day": _bounds(self.drift),
            "wrong": self.wrong,
        }


def compare(db: sqlite3.Connection, dockings: Iterable[int]) -> list[Kept]:
    """What is to be kept of these dockings."""
    found: list[Kept] = []
    for docking in dockings:
        if (what := clocks.compared(db, docking)) is not None:
            ahead = offset((what.earliest, what.latest), what.docked, what.left)
            found.append((what, ahead.low, None if math.isinf(ahead.high) else ahead.high))
    return found


def standing(db: sqlite3.Connection, recorder: str) -> Standing:
    """Of one that is in the ledger."""
    kept = [Offset(one.at, _interval(one)) for one in clocks.offsets(db, recorder)]
    return Standing(recorder, len(kept), kept[-1].at, kept[-1].ahead, drift(since_set(kept)))


def wrong(db: sqlite3.Connection) -> list[str]:
    """Recorders whose clock was off at their last docking, for certain."""
    return [one.recorder for one in clocks.last_of_each(db) if _interval(one).outside(OFF)]


def _bounds(interval: Interval) -> list[float | None]:
    return [None if math.isinf(end) else round(end, 3) for end in (interval.low, interval.high)]


def _interval(one: clocks.Offset) -> Interval:
    return Interval(one.low, math.inf if one.high is None else one.high)
