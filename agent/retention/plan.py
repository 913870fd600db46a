"""What would go in the next days, if nothing changed meanwhile. A rehearsal: nothing is touched."""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from agent.catalog import retained
from agent.catalog.retained import Row
from agent.retention.keeping import Keeping


class Going(NamedTuple):
    row: Row
    at: float  # when its local copy may go, in seconds since the epoch; earlier than now: since then
    rule: str  # the last one that kept it


def plan(db: sqlite3.Connection, keeping: Keeping, now: float, ahead: float) -> Iterator[Going]:
    """Clips whose local copies may go within `ahead` seconds, by rising id."""
    end = now + ahead
    for row in retained.confirmed_by(db, end - keeping.shortest, now):
        until, by = keeping.here(row, retained.confirmed(db, row, now))
        if until <= end and not keeping.holds(row):
            yield Going(row, until, by.name if by else "")
