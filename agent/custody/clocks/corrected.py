"""When a clip was truly recorded, as far as the clock ledger tells, beside the time that its recorder wrote.

What a recorder wrote is never changed: an interval stands beside it, and what it follows from.
"""

import math
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from agent.catalog import clocks
from agent.catalog.clocks import Recorded
from agent.custody.clocks.interval import Interval, true_time

_CLOCK, _DOCKING, _NOTHING = "clock", "docking", "nothing"


@dataclass(frozen=True, slots=True)
class Corrected:
    """`within`: seconds since the epoch; `at`: what the recorder wrote, read in the station's zone; `why`: a
    key, where it does not follow from the recorder's clock."""

    clip: int
    of: Recorded
    at: datetime | None
    within: Interval
    why: str = ""

    @property
    def follows_from(self) -> str:
        if not self.why:
            return _CLOCK
        return _NOTHING if self.why == "untrusted" else _DOCKING

    @property
    def facts(self) -> dict[str, Any]:
        """For JSON; null where nothing bounds a time. Numbers are seconds since the epoch, `recorded` by the
        recorder's clock, read in the station's zone, all others by the station's."""
        of = self.of
        known = self.follows_from != _NOTHING
        return {
            "clip": self.clip,
            "recorded_at": of.recorded_at,
            "recorded": self.at.timestamp() if self.at else None,
            "docking": of.docking,
            "follows_from": self.follows_from,
            "why": self.why or None,
            "docked": of.docked if known else None,
            "left": of.left if known else None,
            "ahead_seconds": [of.low, of.high] if self.follows_from == _CLOCK else None,
            "from": _finite(self.within.low),
            "to": _finite(self.within.high),
        }

    @property
    def sentences(self) -> list[tuple[str, dict[str, Any]]]:
        """Keys of words with their parameters: when, from what it follows, and why not from more."""
        if self.follows_from == _NOTHING:
            return [("true-unknown", {}), (f"why-{self.why}", {})]
        of, clock, low, high = self.of, self.follows_from == _CLOCK, self.within.low, self.within.high
        ends = {"from": _shown(low, math.floor), "to": _shown(high, math.ceil), "span": high - low}
        times = {"left": _shown(of.left, math.floor), "docked": _shown(of.docked, math.ceil)}
        ahead = {"low": _signed(of.low, math.floor), "high": _signed(of.high, math.ceil)}
        first = "-first" if (of.high if clock else of.left) is None else ""
        said: list[tuple[str, dict[str, Any]]] = [
            ("true-before" if math.isinf(low) else "true-between", ends),
            (f"follows-{self.follows_from}{first}", {**times, **ahead}),
        ]
        return [*said, (f"why-{self.why}", {})] if self.why else said


def corrected(db: sqlite3.Connection, clip: int) -> Corrected:
    """Of a clip in the catalog."""
    return correct(clip, clocks.recorded(db, clip))


def correct(clip: int, of: Recorded) -> Corrected:
    at = _read(of.recorded_at)
    between = Interval(-math.inf if of.left is None else of.left, of.docked)
    if not of.trusted:
        return Corrected(clip, of, at, Interval(), "untrusted")
    if at is None or not of.named:
        return Corrected(clip, of, at, between, "unnamed")
    if of.low is None:
        return Corrected(clip, of, at, between, "uncompared")
    ahead = Interval(of.low, math.inf if of.high is None else of.high)
    within = true_time(at.timestamp(), ahead, of.docked, of.left)
    if ahead.empty or within.empty:
        return Corrected(clip, of, at, between, "contradicts")
    return Corrected(clip, of, at, within)


def _read(text: str | None) -> datetime | None:
    """In the station's zone; None for what no calendar of this machine has."""
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except (ValueError, OverflowError):
        return None


def _finite(seconds: float) -> float | None:
    return None if math.isinf(seconds) else round(seconds, 3)


def _shown(seconds: float | None, rounded: Callable[[float], int]) -> str:
    """In the zone of the station, to the second."""
    if seconds is None or math.isinf(seconds):
        return ""
    return datetime.fromtimestamp(rounded(seconds), UTC).astimezone().isoformat(" ", "seconds")


def _signed(seconds: float | None, rounded: Callable[[float], int]) -> str:
    return "" if seconds is None else f"{rounded(seconds):+d}"
