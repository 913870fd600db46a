"""Asking targets for clips that are not here any more: what the centre loses of those is lost for good.

A few of them are drawn every day. One that is missed is told, and asked for again, until it is found.
"""

import random
import sqlite3
import time
from dataclasses import dataclass

from agent.catalog import door
from agent.catalog.documents import stored_clip
from agent.model import StoredClip

_STEP = 1_000  # clips: ids lie close together within a docking, and far apart between two
_DRAWN = (
    "SELECT id FROM clips INDEXED BY clips_released WHERE state = 'released' AND id >= ? ORDER BY id LIMIT 1"
    " OFFSET ?"
)


@dataclass(frozen=True, slots=True)
class Released:
    clip: StoredClip
    token: str
    lost: bool  # it was missed when it was asked for last


def drawn(db: sqlite3.Connection, target: str, place: str, count: int, rng: random.Random) -> list[int]:
    """Up to `count` released clips that this place vouched for. Few when few of those that were released
    are there: nothing is searched for."""
    row = db.execute("SELECT clips FROM clip_counts WHERE state = 'released'").fetchone()
    if row is None or not row[0]:
        return []
    reach = min(int(row[0]), _STEP)
    (last,) = db.execute(
        "SELECT max(id) FROM clips INDEXED BY clips_released WHERE state = 'released'"
    ).fetchone()
    found = set[int]()
    for _ in range(count):
        first = rng.randint(0, last) if row[0] > _STEP else 0
        hit = _at(db, first, rng.randrange(reach)) or _at(db, 0, rng.randrange(reach))
        if hit is not None and _is_there(db, hit, target, place):
            found.add(hit)
    return sorted(found)


def lost(db: sqlite3.Connection, target: str) -> list[int]:
    """Released clips that `target` was found not to have any more, whatever place said so."""
    rows = db.execute(
        "SELECT clip FROM deliveries INDEXED BY deliveries_gone WHERE target = ? AND gone IS NOT NULL",
        (target,),
    )
    return [int(row[0]) for row in rows]


def counted(db: sqlite3.Connection) -> dict[str, int]:
    """How many of these there are, by target."""
    rows = db.execute(
        "SELECT target, count(*) FROM deliveries INDEXED BY deliveries_gone WHERE gone IS NOT NULL"
        " GROUP BY target"
    )
    return {str(target): int(count) for target, count in rows}


def load(db: sqlite3.Connection, clip: int, target: str) -> Released:
    token, gone_since = db.execute(
        "SELECT token, gone FROM deliveries WHERE clip = ? AND target = ?", (clip, target)
    ).fetchone()
    return Released(stored_clip(db, clip), str(token), gone_since is not None)


def missed(tx: sqlite3.Connection, clip: int, target: str, place: str) -> None:
    """Told when it is missed first. Whoever wanted it asked for has the answer."""
    tx.execute("UPDATE deliveries SET asked = NULL, prove = 0 WHERE clip = ? AND target = ?", (clip, target))
    done = tx.execute(
        "UPDATE deliveries SET gone = ? WHERE clip = ? AND target = ? AND gone IS NULL",
        (time.time(), clip, target),
    )
    if done.rowcount:
        door.note(tx, "lost-after-release", clip, {"target": target, "place": place})


def found(tx: sqlite3.Connection, clip: int, target: str, place: str) -> None:
    tx.execute("UPDATE deliveries SET gone = NULL WHERE clip = ? AND target = ?", (clip, target))
    door.note(tx, "found-after-release", clip, {"target": target, "place": place})


def _at(db: sqlite3.Connection, first: int, steps: int) -> int | None:
    row = db.execute(_DRAWN, (first, steps)).fetchone()
    return int(row[0]) if row else None


def _is_there(db: sqlite3.Connection, clip: int, target: str, place: str) -> bool:
    row = db.execute(
        "SELECT 1 FROM deliveries WHERE clip = ? AND target = ? AND place = ? AND state = 'confirmed'",
        (clip, target, place),
    ).fetchone()
    return row is not None
