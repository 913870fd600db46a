"""Released clips: the tombstone, and which files are still to be removed.

Functions that take `tx` run inside `Catalog.write`.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from agent.catalog import door
from agent.model import ClipState


def release(tx: sqlite3.Connection, clip: int, facts: Mapping[str, Any]) -> None:
    """The tombstone of a confirmed clip: its entry, with what the centre holds, stays for ever. Raises
    WrongState."""
    sha256, size, receipts = tx.execute(
        "SELECT lower(hex(sha256)), size, (SELECT"
        " json_group_object(target, json_extract(receipt, '$.location')) FROM deliveries"
        " WHERE clip = clips.id AND state = 'confirmed') FROM clips WHERE id = ?",
        (clip,),
    ).fetchone()
    there = {"sha256": sha256, "size": size, "at": json.loads(receipts)}
    door.change(tx, clip, ClipState.CONFIRMED, ClipState.RELEASED, **there, **facts)
    tx.execute("INSERT INTO removals VALUES (?)", (clip,))


def waiting(db: sqlite3.Connection, after: int, most: int) -> list[tuple[int, str]]:
    """(clip, key), by rising id from above `after`."""
    query = "SELECT clip, key FROM removals JOIN clips ON id = clip WHERE clip > ? ORDER BY clip LIMIT ?"
    rows = db.execute(query, (after, most))
    return [(int(clip), str(key)) for clip, key in rows.fetchall()]


def done(tx: sqlite3.Connection, clips: Iterable[int]) -> None:
    tx.executemany("DELETE FROM removals WHERE clip = ?", [(clip,) for clip in clips])
