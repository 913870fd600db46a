"""Which store is behind a target's name: bound at first contact, and to another one by an administrator only.

A store says itself who it is (a folder and a bucket by their mark). A name and an address do not tell: the
next disk or share may be mounted at the same path, and a slip in a bucket's name may be somebody else's.
"""

import json
import sqlite3
from functools import lru_cache

from agent.catalog import deliveries, door, waiting
from agent.catalog.deliveries import PlaceChanged, Targets


def known_at(db: sqlite3.Connection, target: str, address: str) -> str:
    """The place that the station has found behind `target` at this address before; empty when it was never in
    touch with it there."""
    before, place = _bound(db, target)
    return place if before == address else ""


def found(tx: sqlite3.Connection, target: str, address: str, targets: Targets) -> str:
    """`target` has said who it is (in `targets`). Return who it was before when it was bound to another one,
    and an administrator has accepted this one; else an empty text.

    Raises PlaceChanged when it is another one that nobody has accepted; then nothing is changed."""
    before, place = _bound(tx, target), targets[target]
    changed = before[1] if before[1] != place else ""
    if changed and _accepted(tx, target) != place:
        raise PlaceChanged(target=target, address=address, was=changed, now=place)
    tx.execute("DELETE FROM meta WHERE key = ?", (_acceptance(target),))  # used, or not needed
    if before != (address, place):
        _keep(tx, _key(target), {"address": address, "place": place})
    if changed:
        facts = {"target": target, "from": changed, "to": place, "address": address}
        door.note(tx, "target-changed", None, facts)
    waiting.follow(tx, target, targets)
    deliveries.settle_all(tx, targets)
    return changed


def bound(db: sqlite3.Connection, target: str) -> str:
    """The place behind `target`, as far as the station was in touch with it; empty when it never was."""
    return _bound(db, target)[1]


def accept(tx: sqlite3.Connection, target: str, place: str, who: str) -> None:
    """From now on `place` may be behind the name of `target`. What waits is sent there; what another place
    has confirmed stays confirmed. `who` said so, for the record."""
    _keep(tx, _acceptance(target), {"place": place})
    door.note(tx, "target-accepted", None, {"target": target, "place": place, "who": who})


def _bound(db: sqlite3.Connection, target: str) -> tuple[str, str]:
    """(address, place), empty when it was never asked."""
    said = _kept(db, _key(target))
    return said.get("address", ""), said.get("place", "")


def _accepted(db: sqlite3.Connection, target: str) -> str:
    return _kept(db, _acceptance(target)).get("place", "")


def _kept(db: sqlite3.Connection, key: str) -> dict[str, str]:
    row = db.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return dict(_read(row[0])) if row else {}


@lru_cache(maxsize=32)
def _read(text: str) -> dict[str, str]:
    """Asked of each clip anew, it is nearly always the same one."""
    return dict(json.loads(text))


def _keep(tx: sqlite3.Connection, key: str, value: dict[str, str]) -> None:
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, json.dumps(value)))


def _acceptance(target: str) -> str:
    return f"accepted:{target}"


def _key(target: str) -> str:
    return f"target:{target}"
