"""In how many days the disk is full: by what came of late, and by what the rules will let go.

It rather tells too few days than too many: what the centre has not confirmed by now stays, a hold stays, and
what goes in the course of a day goes at its end. What is still to come is like what came in the last days: as
many bytes every day, of which as large a share goes after as many days. Early releases are left out.
"""

import math
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from agent.catalog import filling, retained
from agent.retention.keeping import Keeping

PAST = 14  # days that tell how much comes
AHEAD = 90  # days that are looked at
_DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Forecast:
    """`per_day`: bytes that come. `going[n]`: bytes of what is here that go on the n-th day from now, 0: at
    once. `lasting[n]`: the share of what comes that goes n days after it came."""

    per_day: float
    going: Sequence[float]
    lasting: Sequence[float]

    def days(self, free: float, reserve: float) -> int | None:
        """Until no more than the reserve is free; None: not within AHEAD days."""
        room, gone = free - reserve + self.going[0], 0.0
        for day in range(AHEAD + 1):
            if day > 0:
                gone += self.lasting[day - 1]
                room += self.going[day] + self.per_day * (gone - 1)
            if room <= 0:
                return day
        return None


def forecast(db: sqlite3.Connection, keeping: Keeping, now: float, *, releasing: bool) -> Forecast | None:
    """None while the station is younger than a day. `releasing`: whether anything goes at all. Looks at every
    confirmed clip, in pages."""
    first, since = filling.first_docking(db, now), now - PAST * _DAY
    if first is None or now - first < _DAY:
        return None
    brought = filling.came(db, since, now)
    came = sum(size for _, size in brought)
    going, going_again = [0.0] * (AHEAD + 1), [0.0] * (AHEAD + 1)
    if releasing:
        for life, size in brought:
            _add(going_again, life, size)
        # A hold looks at each clip, which takes far longer.
        rows = retained.all_confirmed(db) if keeping.holding else retained.confirmed_together(db)
        for row in rows:
            until = keeping.here(row, retained.confirmed(db, row, now)).until
            if not math.isinf(until) and not keeping.holds(row):
                _add(going, math.ceil((until - now) / _DAY), row.size)
                if since < row.docked <= now:
                    _add(going_again, math.ceil((until - row.docked) / _DAY), row.size)
    days = min(PAST, (now - first) / _DAY)
    return Forecast(came / days, going, [size / came if came else 0.0 for size in going_again])


def _add(sizes: list[float], day: int | None, size: int) -> None:
    if day is not None and day <= AHEAD:
        sizes[max(0, day)] += size
