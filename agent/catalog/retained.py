"""What retention looks at of each clip: one row, with all that a rule, a hold or a period needs.

Times are seconds since the epoch. Functions over many clips page by id, so that no reading lasts for long.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

_DAY = 86400.0
#: Seconds before the docking in which a recording is believed to have been made: recorders are handed in
#: daily, and a clock that is off by more than this says something else.
_BELIEVED = 7 * _DAY
_PAGE = 2_000
#: What a Row holds, of a clip c that docking d brought, and the tables that tell it.
COLUMNS = (
    "c.id, c.state, c.recorder, c.officer, coalesce(l.officer, ''),"
    " coalesce(l.important, c.important), coalesce(l.category, ''), coalesce(l.case_number, ''),"
    " coalesce(k.closed, 0), c.recorded_at, d.started, d.clock_trusted, o.low, o.high,"
    " CASE WHEN c.state = 'confirmed' THEN e.at END, e.clock_trusted, c.event, c.size, c.key"
)
JOINS = (
    " JOIN events e ON e.seq = c.event"
    " LEFT JOIN clock_offsets o ON o.docking = c.docking LEFT JOIN labels l ON l.clip = c.id"
    " LEFT JOIN cases k ON k.number = l.case_number"
)
_ROWS = f"SELECT {COLUMNS} FROM clips c JOIN dockings d ON d.id = c.docking{JOINS}"
_CONFIRMED = (
    f"SELECT {COLUMNS} FROM clips c INDEXED BY clips_confirmed JOIN dockings d ON d.id = c.docking{JOINS}"
    " WHERE c.state = 'confirmed'"
)
_LATER = "SELECT at FROM events WHERE seq >= ? AND clock_trusted = 1 AND at <= ? ORDER BY seq LIMIT 1"


#: What periods count from.
RECORDED, CORRECTED, DOCKED, UNKNOWN = "recorded", "corrected", "docked", "unknown"


class Began(NamedTuple):
    at: float | None  # None: nobody knows yet
    by: str


class Row(NamedTuple):
    id: int
    state: str
    recorder: str
    officer: str  # by the recorder
    labelled_officer: str  # by a person; "" when nobody said
    important: int
    category: str
    case: str
    case_closed: int
    recorded_at: str | None  # by the recorder's clock, which has no zone
    docked: float
    trusted: int  # whether this station's clock was, at the docking
    ahead_low: float | None  # by how much the recorder's clock was ahead at least, by the clock ledger
    ahead_high: float | None  # and at most
    confirmed: float | None  # since when it is, by the clock of then; None when it is not
    changed_trusted: int  # whether that clock was
    event: int  # of the last change of state
    size: int
    key: str | None


_MANY = 20_000  # clips that are put together at once: bounds how long a reading lasts
_NAMES = ", ".join(f'"{name}"' for name in Row._fields)
_SUMS = {"id": "max(id)", "confirmed": "max(confirmed)", "event": "max(event)", "size": "sum(size)"}
_SUMMED = ", ".join(_SUMS.get(name, f'"{name}"') for name in Row._fields)
_TOGETHER = (
    f"WITH found({_NAMES}) AS ({_CONFIRMED} AND c.id > ? ORDER BY c.id LIMIT {_MANY})"
    f" SELECT {_SUMMED} FROM found"
    ' GROUP BY recorder, officer, labelled_officer, important, category, "case", case_closed, docked,'
    " changed_trusted, CAST(confirmed / 3600 AS INTEGER)"
)


def one(db: sqlite3.Connection, clip: int) -> Row | None:
    row = db.execute(f"{_ROWS} WHERE c.id = ?", (clip,)).fetchone()
    return Row(*row) if row else None


def every(db: sqlite3.Connection) -> Iterator[Row]:
    """All that are not merged, by rising id."""
    return _paged(db, f"{_ROWS} WHERE c.state <> 'merged' AND c.id > ?")


def all_confirmed(db: sqlite3.Connection) -> Iterator[Row]:
    """By rising id."""
    return _paged(db, f"{_CONFIRMED} AND c.id > ?")


def confirmed_by(db: sqlite3.Connection, moment: float, now: float) -> Iterator[Row]:
    """The same without those of which it is certain, at `now`, that the centre confirmed them after
    `moment`."""
    certain = "e.clock_trusted = 0 OR e.at <= ? OR e.at > ?"
    return _paged(db, f"{_CONFIRMED} AND ({certain}) AND c.id > ?", moment, now)


def confirmed_together(db: sqlite3.Connection) -> Iterator[Row]:
    """The same in far fewer rows, for what rules ask and holds do not: one for all clips of a docking of
    which the same is known and that were confirmed in the same hour, with the last of these moments and the
    sum of their bytes."""
    after = 0
    while rows := db.execute(_TOGETHER, (after,)).fetchall():
        after = max(row[0] for row in rows)
        yield from map(Row._make, rows)


def _paged(db: sqlite3.Connection, query: str, *values: float) -> Iterator[Row]:
    after, cursor = 0, db.cursor()
    cursor.row_factory = None  # bare tuples: a Row is made of each anyway
    while rows := cursor.execute(f"{query} ORDER BY c.id LIMIT {_PAGE}", (*values, after)).fetchall():
        after = rows[-1][0]
        yield from map(Row._make, rows)


def where(
    db: sqlite3.Connection, condition: str, values: Mapping[str, str | int], after: int = 0, page: int = _PAGE
) -> Iterator[list[Row]]:
    """Those behind the clip `after` that `condition` is true of (over c, the clip, and l, its labels), in
    pages by rising id."""
    query = (
        f"{_ROWS} WHERE ({condition}) AND c.state <> 'merged' AND c.id > :after ORDER BY c.id LIMIT {page}"
    )
    while rows := db.execute(query, {**values, "after": after}).fetchall():
        after = rows[-1][0]
        yield [Row(*row) for row in rows]


def began(db: sqlite3.Connection, row: Row, now: float, docked_by: float | None = None) -> Began:
    """The latest moment at which the recording can have been made: what periods count from.

    By the recorder's clock when it says a time within a week before the docking, corrected where the clock
    ledger proves that clock wrong; else the docking itself. So a clock at 1980 makes nothing expire, and one
    at 2099 keeps nothing for a lifetime. A docking under a clock that was not trusted, or that is still to
    come by the trusted time `now`, counts as the first moment after it whose time can be trusted; while there
    is none, as `docked_by`."""
    docked: float | None = row.docked
    if not row.trusted or row.docked > now:
        docked = _later(db, row.id, now)  # a clip's id is the number of its first event
    docked = docked_by if docked is None else docked
    if docked is None:
        return Began(None, UNKNOWN)
    said = _said(row)
    if said is None or not docked - _BELIEVED <= said <= docked:
        return Began(docked, DOCKED)
    wrong = _wrong(row)
    return Began(min(docked, said - wrong), CORRECTED if wrong else RECORDED)


def _said(row: Row) -> float | None:
    try:  # the recorder's local time is the station's
        return datetime.fromisoformat(row.recorded_at).timestamp() if row.recorded_at else None
    except (ValueError, OverflowError):  # the first or the last day of all: nobody can say it in seconds
        return None


def _wrong(row: Row) -> float:
    """Seconds by which the recorder's clock was ahead at least; 0 when it may have been right."""
    low, high = row.ahead_low, row.ahead_high
    return low if low is not None and (low > 0 or (high is not None and high < 0)) else 0.0


def confirmed(db: sqlite3.Connection, row: Row, now: float) -> float | None:
    """The latest moment at which the centre can have confirmed the clip; None when it has not, or nobody
    knows. As with a docking, only a trusted clock that is not in the future is believed."""
    if row.confirmed is None or (row.changed_trusted and row.confirmed <= now):
        return row.confirmed
    return _later(db, row.event, now)


def _later(db: sqlite3.Connection, event: int, now: float) -> float | None:
    found = db.execute(_LATER, (event, now)).fetchone()
    return float(found[0]) if found else None
