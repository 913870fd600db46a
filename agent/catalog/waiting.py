"""What each target is to get next, kept in order.

The database keeps the table itself (`migrations/0005_waiting.sql`: the view `due` is the rule, triggers
follow it), so that the question costs one look at an index however many clips wait, for whatever target.
"""

import sqlite3
from collections.abc import Callable

from agent.catalog.deliveries import Targets

_NEXT = (
    "SELECT urgency, important, clip FROM waiting WHERE target = ?"
    " AND EXISTS (SELECT 1 FROM followed WHERE target = ? AND place = ?)"
    " ORDER BY urgency DESC, important DESC, docking, clip"
)


def next_due(
    db: sqlite3.Connection,
    target: str,
    place: str,
    skip: Callable[[int], bool],
    least: tuple[int, int] = (0, 0),
) -> int | None:
    """The clip that `target` should get next: what somebody asked for, then what is important, then what was
    docked longest ago, whose hand-in deadline is the nearest. None below the rank `least`, and none while
    another place is followed."""
    cursor = db.execute(_NEXT, (target, target, place))
    try:
        for urgency, important, clip in cursor:
            if (urgency, important) < least:
                return None
            if not skip(clip):
                return int(clip)
        return None
    finally:
        cursor.close()  # an open cursor would keep the log of the database from being folded in


def follow(tx: sqlite3.Connection, target: str, targets: Targets) -> None:
    """From now on keep what waits for `target` at its place in `targets`, and for none that is not in there.
    What it costs when the place changes grows with the number of clips that wait."""
    names, place = tuple(targets), targets[target]
    gone = f"target NOT IN ({', '.join('?' * len(names))})"
    for table in ("followed", "waiting"):
        tx.execute(f"DELETE FROM {table} WHERE {gone}", names)
    before = tx.execute("SELECT place FROM followed WHERE target = ?", (target,)).fetchone()
    if before is not None and before[0] == place:
        return
    tx.execute("INSERT OR REPLACE INTO followed VALUES (?, ?)", (target, place))
    tx.execute("DELETE FROM waiting WHERE target = ?", (target,))
    tx.execute("INSERT INTO waiting SELECT * FROM due WHERE target = ?", (target,))
