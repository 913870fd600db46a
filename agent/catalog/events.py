"""The events as they stand in the catalog, for those that keep or check them outside of it."""

import sqlite3
from collections.abc import Iterable
from typing import Any, NamedTuple

ROWS = (
    "SELECT seq, clip, kind, body, at, boot_id, clock_trusted FROM events WHERE seq >= ? ORDER BY seq LIMIT ?"
)


class Event(NamedTuple):
    """A row of `events`, its columns in their order."""

    seq: int
    clip: int | None
    kind: str
    body: str  # JSON
    at: float  # seconds since the epoch
    boot_id: str
    clock_trusted: int


def insert(tx: sqlite3.Connection, again: Iterable[Event]) -> None:
    """Events of a lost catalog, as they were. New ones come to be by `door` alone."""
    tx.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", again)


def rows(db: sqlite3.Connection, first: int, most: int) -> list[tuple[Any, ...]]:
    """At most `most` events from number `first` on: seq, clip, kind, body, at, boot_id, clock_trusted."""
    return [tuple(row) for row in db.execute(ROWS, (first, most)).fetchall()]


def last(db: sqlite3.Connection) -> int:
    """The number of the last event; 0 when there is none."""
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()[0])
