"""What a named person has ordered of the log: kept in the catalog until the keeper has carried it out.

So an order that was given is carried out once, whatever ends the agent meanwhile.
"""

import json
import sqlite3
from dataclasses import asdict, dataclass, replace

from agent.catalog import meta

BEGIN, REKEY = "begin", "rekey"
_META = "log-order"


@dataclass(frozen=True, slots=True)
class Order:
    """`name`, `reason`: digests of texts beside the log; `above`: numbers up to this one are taken elsewhere.
    How far a change of the key is: `log` is the old log, and `event` the number of its last event, once that
    is committed; `opened`: so is the new log."""

    what: str
    name: str
    reason: str
    who: str
    above: int = 0
    log: int = 0
    event: int = 0
    opened: bool = False

    @property
    def said(self) -> dict[str, str]:
        """What an entry tells of who ordered it."""
        return {"name": self.name, "reason": self.reason, "who": self.who}


def pending(db: sqlite3.Connection) -> Order | None:
    text = meta.get(db, _META)
    return Order(**json.loads(text)) if text else None


def put(tx: sqlite3.Connection, order: Order) -> None:
    """Inside `Catalog.write`, as `done`."""
    meta.put(tx, _META, json.dumps(asdict(order)))


def opened(tx: sqlite3.Connection, order: Order) -> None:
    """The log that it was about is committed. A change of the key is done when the old one is gone."""
    if order.what == REKEY:
        put(tx, replace(order, opened=True))
    else:
        done(tx)


def done(tx: sqlite3.Connection) -> None:
    tx.execute("DELETE FROM meta WHERE key = ?", (_META,))
