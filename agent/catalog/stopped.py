"""Slots that are not used, by order, until another order says otherwise: an event with each.

Functions that take `tx` run inside `Catalog.write`; `facts` tell who gave the order, and why.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.catalog import door
from agent.errors import Reject


def slots(db: sqlite3.Connection) -> dict[str, float]:
    """Each with since when, seconds since the epoch."""
    rows = db.execute(
        "SELECT slot, at FROM stopped_slots s JOIN events e ON e.seq = s.id WHERE used IS NULL ORDER BY slot"
    )
    return {str(slot): float(at) for slot, at in rows.fetchall()}


def stop(tx: sqlite3.Connection, slot: str, facts: Mapping[str, Any]) -> None:
    """Raises Reject `slot-stopped`."""
    if _number(tx, slot) is not None:
        raise Reject("slot-stopped", slot=slot)
    keep(tx, slot, door.note(tx, "slot-stopped", None, {"slot": slot, **facts}))


def keep(tx: sqlite3.Connection, slot: str, event: int) -> None:
    """The row alone; its event is there."""
    tx.execute("INSERT INTO stopped_slots (id, slot) VALUES (?, ?)", (event, slot))


def use(tx: sqlite3.Connection, slot: str, facts: Mapping[str, Any]) -> None:
    """Raises Reject `slot-not-stopped`."""
    number = _number(tx, slot)
    if number is None:
        raise Reject("slot-not-stopped", slot=slot)
    event = door.note(tx, "slot-used", None, {"slot": slot, "stopped": number, **facts})
    tx.execute("UPDATE stopped_slots SET used = ? WHERE id = ?", (event, number))


def _number(db: sqlite3.Connection, slot: str) -> int | None:
    row = db.execute("SELECT id FROM stopped_slots WHERE slot = ? AND used IS NULL", (slot,)).fetchone()
    return int(row[0]) if row else None
