"""Which roster is in force, and which before it protect still: an event with every change.

Functions that take `tx` run inside `Catalog.write`.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.catalog import door, lengthened

#: Of a standing roster, the one that took its place, and the first trusted moment since then.
_REPLACED = (
    "SELECT r.id, (SELECT at FROM events WHERE seq >= (SELECT min(id) FROM rosters n WHERE n.id > r.id)"
    " AND clock_trusted AND at <= ? ORDER BY seq LIMIT 1) FROM rosters r INDEXED BY rosters_standing"
    " WHERE over IS NULL AND id < (SELECT max(id) FROM rosters)"
)


def standing(db: sqlite3.Connection) -> list[str]:
    """The lines, as JSON, of all that protect; the last one is in force. Empty when there never was one."""
    rows = db.execute("SELECT lines FROM rosters INDEXED BY rosters_standing WHERE over IS NULL ORDER BY id")
    return [str(row[0]) for row in rows]


def in_force(db: sqlite3.Connection) -> str | None:
    row = db.execute("SELECT lines FROM rosters ORDER BY id DESC LIMIT 1").fetchone()
    return str(row[0]) if row else None


def begin(tx: sqlite3.Connection, lines: str, facts: Mapping[str, Any]) -> int:
    seq = door.note(tx, "roster-changed", None, facts)
    tx.execute("INSERT INTO rosters (id, lines) VALUES (?, ?)", (seq, lines))
    lengthened.note(tx, seq)
    return seq


def replaced_before(db: sqlite3.Connection, before: float, now: float) -> list[int]:
    """Those that protect still and were replaced before that moment. `now` is a trusted time; of one that was
    replaced under a wrong clock, the first trusted moment after counts."""
    return [int(roster) for roster, at in db.execute(_REPLACED, (now,)) if at is not None and at <= before]


def end(tx: sqlite3.Connection, roster: int) -> int:
    """It protects no more, and what it said of people is gone."""
    seq = door.note(tx, "roster-over", None, {"roster": roster})
    tx.execute("UPDATE rosters SET over = ?, lines = '[]' WHERE id = ? AND over IS NULL", (seq, roster))
    return seq
