"""When each clip that lies in the store was last read there from its first byte to its last.

Times are seconds since the epoch. Functions that take `tx` run inside `Catalog.write`; the others read.
"""

import sqlite3
from collections.abc import Iterable
from typing import NamedTuple

from agent.catalog import rot
from agent.catalog.documents import stored_clip
from agent.model import StoredClip

_SLACK = 86400.0  # seconds: a clock that is only being set is not a wrong one
_HERE = ", ".join(f"'{state}'" for state in sorted(rot.HERE))
_READ = "coalesce(s.at, c.stored_at, 0)"
_STORED = (
    "FROM clips c LEFT JOIN scrubs s ON s.clip = c.id"
    f" WHERE c.state IN ({_HERE}) AND NOT EXISTS (SELECT 1 FROM rotten WHERE rotten.clip = c.id)"
)


class Figures(NamedTuple):
    clips: int  # that should be whole here
    oldest: float | None  # when that one of them was read which was not for longest
    due: int  # how many of them are to be read
    rotten: int  # that are not whole now
    healed: int  # that were rotten once, and were made whole


def due(db: sqlite3.Connection, now: float, every: float, most: int) -> list[int]:
    """Clips that were not read for `every` seconds, the one longest unread first. What was read long after
    `now` was so under a wrong clock, and is due."""
    rows = db.execute(
        f"SELECT c.id {_STORED} AND ({_READ} <= :before OR {_READ} > :late)"
        f" ORDER BY {_READ}, c.id LIMIT :most",
        {"before": now - every, "late": now + _SLACK, "most": most},
    ).fetchall()
    return [int(row[0]) for row in rows]


def oldest(db: sqlite3.Connection) -> float | None:
    """When that clip was read, or stored, which was not read for longest; None: there is none."""
    row = db.execute(f"SELECT min({_READ}) {_STORED}").fetchone()
    return None if row[0] is None else float(row[0])


def here(db: sqlite3.Connection, clip: int) -> StoredClip | None:
    """None when its file should not be here (any more), or is known not to be whole."""
    row = db.execute(f"SELECT 1 {_STORED} AND c.id = ?", (clip,)).fetchone()
    return stored_clip(db, clip) if row else None


def others(db: sqlite3.Connection, clip: int, most: int) -> list[str]:
    """The keys of some of the other clips whose files should be here, and are not empty."""
    rows = db.execute(
        f"SELECT c.key {_STORED} AND c.size > 0 AND c.id <> ? ORDER BY random() LIMIT ?", (clip, most)
    ).fetchall()
    return [str(row[0]) for row in rows]


def read(tx: sqlite3.Connection, clips: Iterable[int], now: float) -> None:
    tx.executemany("INSERT OR REPLACE INTO scrubs VALUES (?, ?)", [(clip, now) for clip in clips])


def figures(db: sqlite3.Connection, now: float, every: float) -> Figures:
    clips, oldest, late = db.execute(
        f"SELECT count(*), min({_READ}), coalesce(sum({_READ} <= ? OR {_READ} > ?), 0) {_STORED}",
        (now - every, now + _SLACK),
    ).fetchone()
    (rotten,) = db.execute("SELECT count(*) FROM rotten").fetchone()
    (healed,) = db.execute("SELECT count(*) FROM events WHERE kind = 'healed'").fetchone()
    return Figures(int(clips), oldest, int(late), int(rotten), int(healed))
