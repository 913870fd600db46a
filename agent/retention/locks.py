"""How long a clip is locked at the centre: as long as it must be kept there, and never longer."""

import math
import sqlite3

from agent.catalog import Catalog, holds, reconfirm, retained
from agent.catalog.holds import Hold
from agent.model import Lock
from agent.retention.keeping import Keeping

_DAY = 86400.0


def lock(db: sqlite3.Connection, clip: int, keeping: Keeping, now: float) -> Lock:
    """`now` is a trusted time, in seconds since the epoch. A clip that was docked before any time could be
    trusted counts from now on."""
    row = retained.one(db, clip)
    if row is None or keeping.holds(row):
        return Lock(hold=True)
    until = keeping.at_centre(row, retained.began(db, row, now, docked_by=now).at, now).until
    if math.isinf(until):
        return Lock(hold=True)
    return Lock(until) if until > now + _DAY else Lock()  # a server refuses what is over already


def lock_at_centre(catalog: Catalog, hold: Hold) -> int:
    """Have the clips that `hold` covers locked where they were confirmed already: targets are asked for them
    next. How many clips are covered, as far as they are known."""
    found = 0
    for rows in holds.may_cover(catalog.read(), hold):
        covered = [row.id for row in rows if hold.covers(row)]
        catalog.write(lambda tx, covered=covered: reconfirm.soon(tx, covered))  # type: ignore[misc]
        found += len(covered)
    return found
