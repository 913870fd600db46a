"""What people ordered at a station whose catalog was lost, made anew from its events. See
`agent.catalog.replay`."""

import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.catalog import acknowledged, stopped
from agent.catalog.events import Event

Body = Mapping[str, Any]


def _stopped(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    stopped.keep(tx, body["slot"], event.seq)


def _used(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    change = (event.seq, body["stopped"])
    return tx.execute("UPDATE stopped_slots SET used = ? WHERE id = ?", change).rowcount == 1


def _acknowledged(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    acknowledged.keep(tx, event.seq, body)


def _ended(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    change = (event.seq, body["acknowledged"])
    return tx.execute("UPDATE acknowledgements SET ended = ? WHERE id = ?", change).rowcount == 1


REPLAYS = {
    "slot-stopped": _stopped,
    "slot-used": _used,
    "issue-acknowledged": _acknowledged,
    "acknowledgement-ended": _ended,
}
