"""What of which log was told elsewhere, and from which log on anything is: as the catalog keeps it.

Upload notes for each place `log:<target>:<place>` → [number, size] when it has laid that much there.
"""

import json
import sqlite3

from agent.catalog import meta

_FIRST = "log-first"


def left(db: sqlite3.Connection, log: int) -> int:
    """The size of the longest tree of the log numbered `log` that left the station, to a target or on a
    stick; 0 when none did."""
    rows = db.execute("SELECT value FROM meta WHERE key LIKE 'log:%'")
    sizes = [size for number, size in (json.loads(row[0]) for row in rows) if number == log]
    return max([*sizes, *carried(db, log)], default=0)


def carried(db: sqlite3.Connection, log: int) -> list[int]:
    """The sizes of heads that were carried to other stations, the last one last."""
    sizes: list[int] = json.loads(meta.get(db, f"carried:{log}") or "[]")
    return sizes


def put_carried(tx: sqlite3.Connection, log: int, sizes: list[int]) -> None:
    meta.put(tx, f"carried:{log}", json.dumps(sizes))


def first(db: sqlite3.Connection) -> int:
    """The number of the first log that is told at all: what came before a copy of the disk was restored has
    another end elsewhere, and all its events are in the later log, too."""
    return int(meta.get(db, _FIRST) or 0)


def put_first(tx: sqlite3.Connection, log: int) -> None:
    meta.put(tx, _FIRST, str(log))
