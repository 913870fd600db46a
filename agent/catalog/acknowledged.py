"""Issues of the station's health that somebody knows of: an event with each, and with the end of each.

Functions that take `tx` run inside `Catalog.write`; `facts` tell who did it.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.catalog import door

GONE, WORSE = "gone", "worse"  # why one ends
_STANDING = (
    "SELECT a.id, key, subject, severity, e.at, e.body FROM acknowledgements a JOIN events e ON e.seq = a.id"
    " WHERE ended IS NULL"
)


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """`name`, `note`: digests of what was written; `who`: as events name them."""

    id: int
    key: str
    subject: str
    severity: str
    at: float  # seconds since the epoch
    who: str
    name: str
    note: str


def standing(db: sqlite3.Connection) -> list[Acknowledgement]:
    found = []
    for *row, body in db.execute(_STANDING).fetchall():
        said = json.loads(body)
        found.append(Acknowledgement(*row, *(said.get(name, "") for name in ("who", "name", "note"))))
    return found


def put(tx: sqlite3.Connection, key: str, subject: str, severity: str, facts: Mapping[str, Any]) -> None:
    """One that stands still is of an issue that went away, or was less severe: it ends."""
    where = "key = ? AND subject = ? AND ended IS NULL"
    for number, old in tx.execute(
        f"SELECT id, severity FROM acknowledgements WHERE {where}", (key, subject)
    ).fetchall():
        end(tx, number, GONE if old == severity else WORSE)
    about = {"key": key, "subject": subject, "severity": severity}
    keep(tx, door.note(tx, "issue-acknowledged", None, {**about, **facts}), about)


def keep(tx: sqlite3.Connection, event: int, about: Mapping[str, Any]) -> None:
    """The row alone; its event is there."""
    row = (event, about["key"], about["subject"], about["severity"])
    tx.execute("INSERT INTO acknowledgements (id, key, subject, severity) VALUES (?, ?, ?, ?)", row)


def end(tx: sqlite3.Connection, number: int, why: str) -> None:
    """`why`: GONE or WORSE. One that has ended stays as it is."""
    row = tx.execute(
        "SELECT key, subject FROM acknowledgements WHERE id = ? AND ended IS NULL", (number,)
    ).fetchone()
    if row is not None:
        facts = {"acknowledged": number, "key": row[0], "subject": row[1], "why": why}
        event = door.note(tx, "acknowledgement-ended", None, facts)
        tx.execute("UPDATE acknowledgements SET ended = ? WHERE id = ?", (event, number))
