"""How far a recorder's clock is off, as far as its files tell.

A file that is new at a docking was recorded after the recorder left here last (`left`) and before it came
back (`docked`), by this station's clock; by the recorder's own, somewhere between the earliest and the latest
time that its new files name. Both are true at once only if the recorder is ahead by

    latest - docked  ≤  offset  ≤  earliest - left        (seconds; behind where it is negative)

That is an interval and no guess: it is narrow when the recorder was in use until shortly before it was docked
and soon after it was taken, and wide when not. What was in between is not known, so no time is ever changed:
what follows from the interval stands beside the time that the recorder wrote.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

DAY = 86400.0
#: Seconds. Names tell whole seconds, and FAT keeps even ones.
_RESOLUTION = 2.0


@dataclass(frozen=True, slots=True)
class Interval:
    """`low` ≤ what is meant ≤ `high`; infinite where nothing bounds it."""

    low: float = -math.inf
    high: float = math.inf

    @property
    def empty(self) -> bool:
        """Nothing fits: somebody set the clock meanwhile, or the files are not from this time."""
        return self.low > self.high

    def both(self, other: "Interval") -> "Interval":
        return Interval(max(self.low, other.low), min(self.high, other.high))

    def outside(self, limit: float) -> bool:
        """Certainly larger than `limit`, on either side. Not of an empty one, which says nothing."""
        return not self.empty and (self.low > limit or self.high < -limit)


@dataclass(frozen=True, slots=True)
class Offset:
    """What one docking told. `at`: when the recorder was docked, in seconds since the epoch."""

    at: float
    ahead: Interval  # seconds by which the recorder's clock is ahead of this station's


def offset(recorded: Sequence[float], docked: float, left: float | None) -> Interval:
    """`recorded`: what the new files name, in seconds since the epoch by the recorder's clock; at least one.
    `left`: when the recorder was last here with this card and all of it was listed; None: never."""
    low = max(recorded) - docked - _RESOLUTION
    high = math.inf if left is None else min(recorded) - left + _RESOLUTION
    return Interval(low, high)


def drift(offsets: Iterable[Offset]) -> Interval:
    """Seconds a day by which the clock gains. Empty when it was set in between: no one pace explains all."""
    pace = Interval()
    for before, after in combinations(sorted(offsets, key=lambda one: one.at), 2):
        days = (after.at - before.at) / DAY
        if days <= 0 or before.ahead.empty or after.ahead.empty:
            continue
        gained = Interval(after.ahead.low - before.ahead.high, after.ahead.high - before.ahead.low)
        pace = pace.both(Interval(gained.low / days, gained.high / days))
    return pace


def since_set(offsets: Sequence[Offset]) -> list[Offset]:
    """The longest run up to the last one that one pace explains: of a clock that nobody set meanwhile."""
    found: list[Offset] = []
    for one in sorted(offsets, key=lambda one: one.at, reverse=True):
        if one.ahead.empty or drift([*found, one]).empty:
            break
        found.append(one)
    return found[::-1]


def true_time(recorded: float, ahead: Interval, docked: float, left: float | None) -> Interval:
    """When it really was, in seconds since the epoch, of a file that was new at that docking."""
    between = Interval(-math.inf if left is None else left, docked)
    if ahead.empty:
        return between
    return between.both(Interval(recorded - ahead.high - _RESOLUTION, recorded - ahead.low + _RESOLUTION))
