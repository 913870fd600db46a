"""What of which log was told elsewhere, and from which log on anything is: as the catalog keeps it.

Upload notes for each place `log:<target>:<place>` → [number, size] when it has laid that much there.
"""

import json
import sqlite3

from agent.catalog import meta

_FIRST = "log-first"


def left(db: sqlite3.Connection, log: int) -> int:
    """How many entries of the log numbered `log` have left the station, to the place that has most of it."""
    rows = db.execute("SELECT value FROM meta WHERE key LIKE 'log:%'")
    sizes = [size for number, size in (json.loads(row[0]) for row in rows) if number == log]
    return max(sizes, default=0)


def first(db: sqlite3.Connection) -> int:
    """The number of the first log that is told at all: what came before a copy of the disk was restored has
    another end elsewhere, and all its events are in the later log, too."""
    return int(meta.get(db, _FIRST) or 0)


def put_first(tx: sqlite3.Connection, log: int) -> None:
    meta.put(tx, _FIRST, str(log))
