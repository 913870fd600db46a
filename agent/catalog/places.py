"""Which store was behind a target's name, and where, when the station asked last.

A store says itself who it is (a folder by its mark). A name and an address do not tell: the next disk or
share may be mounted at the same path.
"""

import json
import sqlite3

from agent.catalog import deliveries, door
from agent.catalog.deliveries import Targets


def known_at(db: sqlite3.Connection, target: str, address: str) -> bool:
    """Whether the station has been in touch with `target` at this address before."""
    return _last(db, target)[0] == address


def found(tx: sqlite3.Connection, target: str, address: str, targets: Targets) -> str:
    """`target` has said who it is (in `targets`). Return who it was before when that was another one,
    else an empty text."""
    before, place = _last(tx, target), targets[target]
    if before != (address, place):
        tx.execute(
            "INSERT OR REPLACE INTO meta VALUES (?, ?)",
            (_key(target), json.dumps({"address": address, "place": place})),
        )
    changed = before[1] if before[1] != place else ""
    if changed:
        facts = {"target": target, "from": changed, "to": place, "address": address}
        door.note(tx, "target-changed", None, facts)
    deliveries.settle_all(tx, targets)
    return changed


def _last(db: sqlite3.Connection, target: str) -> tuple[str, str]:
    """(address, place), empty when it was never asked."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (_key(target),)).fetchone()
    said = json.loads(row[0]) if row else {}
    return said.get("address", ""), said.get("place", "")


def _key(target: str) -> str:
    return f"target:{target}"
