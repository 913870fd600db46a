"""What dockings brought, and when it was handed in: with its recorder, at the docking that made it safe.

Spans are of the station's clock, in seconds since the epoch, without their end.
"""

import sqlite3
from collections.abc import Iterator
from typing import NamedTuple

from agent.catalog import retained
from agent.catalog.retained import Row

#: Dockings by their beginning, their clips by the docking: else a day's report would look at every clip.
_BROUGHT = (
    f"SELECT {retained.COLUMNS}, c.stored_at, d.ended, d.outcome"
    " FROM dockings d INDEXED BY dockings_by_start CROSS JOIN clips c INDEXED BY clips_of_docking"
    f" ON c.docking = d.id{retained.JOINS}"
    " WHERE d.started >= ? AND d.started < ? AND c.state <> 'merged'"
    " AND c.kind IN ('video', 'audio', 'photo')"
)
_FIRST_STORED = "SELECT at FROM events WHERE clip = ? AND kind = 'stored' ORDER BY seq LIMIT 1"
_DOCKED_THEN = (
    "SELECT started, clock_trusted FROM dockings INDEXED BY dockings_of_recorder"
    " WHERE recorder = ? AND id > (SELECT docking FROM clips WHERE id = ?) AND started <= ?"
    " ORDER BY id DESC LIMIT 1"
)
_THERE = (
    "SELECT DISTINCT recorder FROM dockings INDEXED BY dockings_by_start WHERE started >= ? AND started < ?"
)
#: Between the last docking that was before the span, and the first that was after it.
_PERHAPS = (
    "SELECT DISTINCT recorder FROM dockings WHERE clock_trusted = 0 AND id > coalesce("
    "(SELECT id FROM dockings INDEXED BY dockings_by_start WHERE started < ?"
    " AND clock_trusted = 1 ORDER BY started DESC LIMIT 1), 0)"
    " AND id < coalesce((SELECT id FROM dockings INDEXED BY dockings_by_start WHERE started >= ?"
    " AND clock_trusted = 1 ORDER BY started LIMIT 1), 9e18)"
)


class Brought(NamedTuple):
    """`handed`: when its recorder was docked with it; None while it is not on the station. `certain`: whether
    the station's clock was trusted then, and when it was seen first."""

    row: Row
    handed: float | None
    certain: bool


def brought(db: sqlite3.Connection, since: float, until: float) -> Iterator[Brought]:
    """The recordings that were seen first at dockings which began in the span."""
    for *values, stored, ended, outcome in db.execute(_BROUGHT, (since, until)):
        row = Row(*values)
        if stored is None:
            yield Brought(row, None, bool(row.trusted))
        elif ended is None or stored <= ended or outcome == "rebuilt":
            yield Brought(row, row.docked, bool(row.trusted))
        else:
            yield _later(db, row)


def _later(db: sqlite3.Connection, row: Row) -> Brought:
    """Of one that is safe since a later docking, or is so again."""
    first = db.execute(_FIRST_STORED, (row.id,)).fetchone()
    then = db.execute(_DOCKED_THEN, (row.recorder, row.id, first[0])).fetchone() if first else None
    handed, trusted = then or (row.docked, row.trusted)
    return Brought(row, float(handed), bool(row.trusted and trusted))


def docked(db: sqlite3.Connection, since: float, until: float) -> set[str]:
    """Recorders that were docked in the span, or of which it cannot be said that they were not: because the
    station's clock was not trusted."""
    rows = [*db.execute(_THERE, (since, until)), *db.execute(_PERHAPS, (since, until))]
    return {str(row[0]) for row in rows}


def known_since(db: sqlite3.Connection) -> float | None:
    """When the story of this catalog begins; None when it has none, or nobody can say when."""
    row = db.execute("SELECT at FROM events WHERE clock_trusted ORDER BY seq LIMIT 1").fetchone()
    return float(row[0]) if row else None
