"""How much came to the station of late, and how much of that has gone again.

Times are seconds since the epoch."""

import sqlite3

_FIRST = "SELECT min(started) FROM dockings WHERE started <= ?"
#: Dockings by their beginning, their clips by the docking: else it would look at every clip.
_CAME = (
    "SELECT CASE c.state WHEN 'released' THEN CAST((e.at - d.started) / 86400 AS INTEGER) + 1 END,"
    " sum(c.size) FROM dockings d INDEXED BY dockings_by_start"
    " CROSS JOIN clips c INDEXED BY clips_of_docking ON c.docking = d.id"
    " LEFT JOIN events e ON e.seq = c.event AND c.state = 'released'"
    " WHERE d.started > ? AND d.started <= ? AND c.stored_at IS NOT NULL"
    " AND c.state NOT IN ('merged', 'missing', 'quarantined') GROUP BY 1"
)


def first_docking(db: sqlite3.Connection, now: float) -> float | None:
    """When it began; None when there was none up to now."""
    (first,) = db.execute(_FIRST, (now,)).fetchone()
    return None if first is None else float(first)


def came(db: sqlite3.Connection, since: float, now: float) -> list[tuple[int | None, int]]:
    """What recorders brought in that time: (days after the docking on which it was released, None for what is
    still here; bytes)."""
    return db.execute(_CAME, (since, now)).fetchall()
