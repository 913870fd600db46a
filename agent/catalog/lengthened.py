"""That something is to be kept for longer: locks at the centre are to grow, also of clips that were released.
Noted in the commit that lengthens it; how far clips were looked at since, with each group of them.

Functions that take `tx` run inside `Catalog.write`.
"""

import json
import sqlite3
from collections.abc import Collection
from dataclasses import dataclass, replace

from agent.catalog import meta

_KEY, _LOCKING = "lengthened", "locking-targets"


@dataclass(frozen=True, slots=True)
class Lengthened:
    event: int  # the last one that lengthened anything
    after: int = 0  # every clip up to this one was looked at since


def note(tx: sqlite3.Connection, event: int) -> None:
    _put(tx, Lengthened(event))


def follow(tx: sqlite3.Connection, locking: Collection[str]) -> None:
    """These targets are to keep clips under a lock. One that was not to before has all to lock yet."""
    if set(locking) - set(json.loads(meta.get(tx, _LOCKING) or "[]")):
        (last,) = tx.execute("SELECT coalesce(max(seq), 0) FROM events").fetchone()
        note(tx, last)
    meta.put(tx, _LOCKING, json.dumps(sorted(locking)))


def standing(db: sqlite3.Connection) -> Lengthened | None:
    """None: every clip was looked at."""
    said = meta.get(db, _KEY)
    return Lengthened(*json.loads(said)) if said else None


def looked(tx: sqlite3.Connection, was: Lengthened, up_to: int | None) -> None:
    """At every clip up to that one; None: at all. When more was lengthened meanwhile, nothing."""
    if standing(tx) == was:
        _put(tx, None if up_to is None else replace(was, after=up_to))


def _put(tx: sqlite3.Connection, now: Lengthened | None) -> None:
    meta.put(tx, _KEY, json.dumps([now.event, now.after]) if now else "")
