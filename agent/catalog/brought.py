"""The events of a docking, found from an event that names it: no index leads to them, but they lie near."""

import sqlite3

_EVENT = (
    "SELECT seq, clip, kind, body, at, boot_id, clock_trusted FROM events WHERE kind = ?"
    " AND json_extract(body, '$.docking') = ?"
)
Row = tuple[int, int | None, str, str, float, str, int]  # of `events`


def docked(db: sqlite3.Connection, docking: int, before: int) -> Row | None:
    """The event with which it began, before event `before`. None for one of a catalog that was rebuilt."""
    if _outcome(db, docking) == "rebuilt":
        return None
    return _first(db, f"{_EVENT} AND seq < ? ORDER BY seq DESC LIMIT 1", "docked", docking, before)


def undocked(db: sqlite3.Connection, docking: int, after: int) -> Row | None:
    """The event with which it ended, after event `after`. None while it goes on."""
    if _outcome(db, docking) is None:
        return None
    return _first(db, f"{_EVENT} AND seq > ? ORDER BY seq LIMIT 1", "undocked", docking, after)


def compared(db: sqlite3.Connection, docking: int, after: int) -> Row | None:
    """The event that tells what it showed of the recorder's clock, after event `after`. None when it showed
    nothing."""
    if db.execute("SELECT 1 FROM clock_offsets WHERE docking = ?", (docking,)).fetchone() is None:
        return None
    return _first(db, f"{_EVENT} AND seq > ? ORDER BY seq LIMIT 1", "clock-compared", docking, after)


def _outcome(db: sqlite3.Connection, docking: int) -> str | None:
    row = db.execute("SELECT outcome FROM dockings WHERE id = ?", (docking,)).fetchone()
    return row[0] if row else None


def _first(db: sqlite3.Connection, query: str, *values: object) -> Row | None:
    row = db.execute(query, values).fetchone()
    return None if row is None else tuple(row)
