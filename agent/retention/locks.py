"""How long a clip is locked at the centre: as long as it must be kept there, and never longer."""

import math
import sqlite3

from agent.catalog import retained
from agent.model import Lock
from agent.retention.keeping import Keeping

_DAY = 86400.0


def lock(db: sqlite3.Connection, clip: int, keeping: Keeping, now: float) -> Lock:
    """`now` is a trusted time, in seconds since the epoch. A clip that was docked before any time could be
    trusted counts from now on."""
    row = retained.one(db, clip)
    if row is None or keeping.holds(row):
        return Lock(hold=True)
    began = retained.recorded(db, row, now)
    until = keeping.at_centre(row, now if began is None else began, now).until
    if math.isinf(until):
        return Lock(hold=True)
    return Lock(until) if until > now + _DAY else Lock()  # a server refuses what is over already
