"""The events as they stand in the catalog, for those that keep or check them outside of it."""

import sqlite3
from typing import Any

ROWS = (
    "SELECT seq, clip, kind, body, at, boot_id, clock_trusted FROM events WHERE seq >= ? ORDER BY seq LIMIT ?"
)


def rows(db: sqlite3.Connection, first: int, most: int) -> list[tuple[Any, ...]]:
    """At most `most` events from number `first` on: seq, clip, kind, body, at, boot_id, clock_trusted."""
    return [tuple(row) for row in db.execute(ROWS, (first, most)).fetchall()]


def last(db: sqlite3.Connection) -> int:
    """The number of the last event; 0 when there is none."""
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])
