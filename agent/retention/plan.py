"""What would go in the next days, if nothing changed meanwhile. A rehearsal: nothing is touched."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from agent.catalog import retained
from agent.catalog.retained import Row
from agent.retention.keeping import Keeping


@dataclass(frozen=True, slots=True)
class Going:
    row: Row
    at: float  # when its local copy may go, in seconds since the epoch; earlier than now: since then
    rule: str  # the last one that kept it


def plan(db: sqlite3.Connection, keeping: Keeping, now: float, ahead: float) -> Iterator[Going]:
    """Clips whose local copies may go within `ahead` seconds, by rising id."""
    for row in retained.all_confirmed(db):
        kept = keeping.here(row, retained.confirmed(db, row, now))
        if kept.until <= now + ahead and not keeping.holds(row):
            yield Going(row, kept.until, kept.by.name if kept.by else "")
