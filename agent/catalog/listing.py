"""Dockings and recorders, as people look through them: the newest first, page by page."""

import sqlite3
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

_MOST = 5_000  # rows looked at for one page
_LAST = 2**63 - 1
_DOCKINGS = (
    "SELECT id, slot, recorder, officer, started, ended, outcome, clock_trusted FROM dockings"
    " WHERE id < :before{} ORDER BY id DESC LIMIT :many"
)
_CLIPS_OF = (
    "SELECT count(*), coalesce(sum(size), 0) FROM clips INDEXED BY clips_of_docking"
    " WHERE docking = ? AND state <> 'merged'"
)
#: The next recorder by its number, and its last docking: one step in an index for each, of however many
#: dockings.
_RECORDERS = (
    "WITH RECURSIVE known(recorder) AS ("
    " SELECT min(recorder) FROM dockings"
    " WHERE recorder > coalesce((SELECT recorder FROM dockings WHERE id = :after), '')"
    " UNION ALL SELECT (SELECT min(recorder) FROM dockings d WHERE d.recorder > known.recorder) FROM known"
    " WHERE recorder IS NOT NULL LIMIT :many)"
    " SELECT d.recorder, d.officer, d.id AS docking, d.slot, d.started, d.ended, d.outcome FROM known"
    " CROSS JOIN dockings d ON d.id = (SELECT max(id) FROM dockings x WHERE x.recorder = known.recorder)"
)

Shown = Callable[[Mapping[str, Any]], bool]


class Page(NamedTuple):
    """`next`: what the next page begins behind; None: that was the last one."""

    rows: list[dict[str, Any]]
    next: Any


def dockings(
    db: sqlite3.Connection,
    *,
    recorder: str = "",
    before: int = _LAST,
    limit: int = 100,
    shown: Shown = lambda row: True,
) -> Page:
    """With the clips that were seen first there, and their bytes. `shown`: whether a row may be told."""
    query = _DOCKINGS.format(" AND recorder = :recorder" if recorder else "")
    found: list[dict[str, Any]] = []
    looked = 0
    while looked < _MOST:
        values = {"before": before, "recorder": recorder, "many": limit + 1}
        rows = db.execute(query, values).fetchall()
        for row in rows:
            if len(found) == limit:
                return Page(found, before)
            before = row["id"]
            if shown(row := dict(row)):
                clips, size = db.execute(_CLIPS_OF, (row["id"],)).fetchone()
                found.append(row | {"clips": clips, "bytes": size})
        looked += len(rows)
        if len(rows) <= limit:
            return Page(found, None)
    return Page(found, before)


def recorders(
    db: sqlite3.Connection, *, after: int = 0, limit: int = 100, shown: Shown = lambda row: True
) -> Page:
    """By number, each with its last docking. `after`: a docking of the one behind which to go on, so that
    `next` tells nobody's number."""
    rows = [dict(row) for row in db.execute(_RECORDERS, {"after": after, "many": limit + 1}).fetchall()]
    more = len(rows) > limit
    return Page([row for row in rows[:limit] if shown(row)], rows[limit - 1]["docking"] if more else None)


def officer_of(db: sqlite3.Connection, docking: int) -> str:
    """Whose recorder was docked; "" where nobody knows."""
    row = db.execute("SELECT officer FROM dockings WHERE id = ?", (docking,)).fetchone()
    return str(row[0]) if row else ""


def holds(db: sqlite3.Connection, *, lifted: bool = False, after: int = 0, limit: int = 100) -> Page:
    """Those in force, or with `lifted` every one, by rising number behind `after`. `who` set it, and when."""
    where = "" if lifted else " AND h.lifted IS NULL"
    query = (
        "SELECT h.id, h.scope, h.value, h.since, h.until, e.at, e.clock_trusted, l.at AS lifted_at,"
        " json_extract(e.body, '$.who') AS who"
        " FROM holds h JOIN events e ON e.seq = h.id LEFT JOIN events l ON l.seq = h.lifted"
        f" WHERE h.id > ?{where} ORDER BY h.id LIMIT ?"
    )
    rows = [dict(row) for row in db.execute(query, (after, limit + 1)).fetchall()]
    return Page(rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None)
