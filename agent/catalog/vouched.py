"""Whether the centre has all of a docking's clips, asked often: by number, in order, so many at a time."""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from agent.model import ClipState

_PAGE = 500  # clips in one question
#: A released one that its target was asked for and has no more is with nobody.
_AT = (
    "SELECT c.id, iif(c.state = 'released' AND EXISTS (SELECT 1 FROM deliveries d"
    " WHERE d.clip = c.id AND d.gone IS NOT NULL), 'lost', c.state), c.merged_into, e.at"
    " FROM clips c JOIN events e ON e.seq = c.event WHERE c.id"
)
_THERE = (ClipState.CONFIRMED, ClipState.RELEASED)


class Vouched(NamedTuple):
    """`first`: so many of the clips, from the first on, are confirmed; `at`: when the last of those that were
    looked at was, in seconds since the epoch."""

    first: int
    at: float


def look(db: sqlite3.Connection, clips: Sequence[int], first: int, most: int) -> Vouched:
    """On from clip number `first`, to one that is not confirmed, or so many further at most."""
    at, end = 0.0, min(len(clips), first + most)
    while first < end:
        page = clips[first : min(first + _PAGE, end)]
        rows = db.execute(f"{_AT} IN ({', '.join('?' * len(page))})", page).fetchall()
        found = {row[0]: tuple(row[1:]) for row in rows}
        for clip in page:
            row = found.get(clip)
            while row is not None and row[0] == ClipState.MERGED:
                # Merged into another one, it is what that one is.
                one = db.execute(f"{_AT} = ?", (row[1],)).fetchone()
                row = tuple(one[1:]) if one else None
            if row is None or row[0] not in _THERE:
                return Vouched(first, at)
            if row[0] == ClipState.CONFIRMED:
                at = max(at, row[2])
            first += 1
    return Vouched(first, at)


def last_event(db: sqlite3.Connection) -> int:
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])


def taken_back(db: sqlite3.Connection, since: int) -> bool:
    """Whether behind event `since` the centre was found to have lost any clip."""
    row = db.execute(
        "SELECT 1 FROM events WHERE seq > ? AND clip IS NOT NULL AND (kind = 'lost-after-release'"
        " OR (json_extract(body, '$.from') = ? AND json_extract(body, '$.to') = ?)) LIMIT 1",
        (since, ClipState.CONFIRMED, ClipState.STORED),
    ).fetchone()
    return row is not None
