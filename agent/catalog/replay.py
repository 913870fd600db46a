"""What a lost catalog held of dockings, findings, clocks, retention, accounts and orders, made anew from its
events.

A table that is to come back is a function here, by the kind of event that tells of it, and what it needs
stands in that event. Clips are not made here: `lives` reads all events of one together. Their dockings come
before them; what may speak of clips comes once all of those are there.
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from agent.catalog.events import Event
from agent.catalog.faults import REFUSED
from agent.catalog.findings import ELSEWHERE, EXPLAINED, HERE, OPEN
from agent.catalog.replay_access import REPLAYS as OF_ACCESS
from agent.catalog.replay_orders import REPLAYS as OF_ORDERS
from agent.catalog.replay_retention import REPLAYS

Body = Mapping[str, Any]
_Replay = Callable[[sqlite3.Connection, Event, Body], bool | None]
_Replays = Mapping[str, _Replay]


def before_clips(tx: sqlite3.Connection, again: Iterable[Event]) -> int:
    """What clips need to be there, from events in their order; return how many of them tell less than is
    needed."""
    return sum(not _replayed(tx, event, _BEFORE[event.kind]) for event in again if event.kind in _BEFORE)


def after_clips(tx: sqlite3.Connection, after: int, last: int, most: int) -> tuple[int, int]:
    """All else, from at most `most` of the events numbered above `after`, up to `last`. Return the number of
    the last one, 0 when there was none, and how many tell less than is needed."""
    marks = ", ".join("?" * len(_AFTER))
    rows = tx.execute(
        f"SELECT * FROM events WHERE seq > ? AND seq <= ? AND kind IN ({marks}) ORDER BY seq LIMIT ?",
        (after, last, *_AFTER, most),
    ).fetchall()
    again = [Event(*row) for row in rows]
    unused = sum(not _replayed(tx, event, _AFTER[event.kind]) for event in again)
    return (again[-1].seq if again else 0), unused


def retention(tx: sqlite3.Connection, event: Event) -> bool:
    """What one event says of dockings, clocks, labels, cases, holds and rules. False when it tells less than
    is needed."""
    replay = _OF_RETENTION.get(event.kind)
    return replay is None or _replayed(tx, event, replay)


def _replayed(tx: sqlite3.Connection, event: Event, replay: _Replay) -> bool:
    try:
        return replay(tx, event, json.loads(event.body)) is not False
    except (*REFUSED, KeyError, TypeError, ValueError, AttributeError):
        return False


def _docked(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    tx.execute(
        "INSERT INTO dockings (id, slot, recorder, fs_id, officer, started, clock_trusted, conflict)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (body["docking"], body["slot"], body["recorder"], body["fs_id"], body.get("officer", ""),
         body.get("started", event.at), body.get("clock_trusted", event.clock_trusted),
         body.get("conflict", False)),
    )  # fmt: skip


def _undocked(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    done = tx.execute(
        "UPDATE dockings SET ended = ?, outcome = ?, listed = ?, officer = ? WHERE id = ?",
        (event.at, body["outcome"], body.get("listed", False), body["officer"], body["docking"]),
    )
    return done.rowcount == 1


def _docking_rebuilt(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    _docked(tx, event, body)
    tx.execute(
        "UPDATE dockings SET ended = ?, outcome = 'rebuilt' WHERE id = ?",
        (event.at, body["docking"]),
    )


def _slot_first(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    tx.execute("UPDATE dockings SET urgency = 1 WHERE id = ?", (body["docking"],))


def _clock_compared(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    done = tx.execute(
        "INSERT INTO clock_offsets SELECT id, recorder, started, ?, ? FROM dockings WHERE id = ?",
        (body["low"], body["high"], body["docking"]),
    )
    return done.rowcount == 1


def _finding(tx: sqlite3.Connection, event: Event, body: Body) -> None:
    about = {name: body[name] for name in ("rule", "recorder", "docking")}
    facts = {name: value for name, value in body.items() if name not in about}
    tx.execute(
        "INSERT INTO findings (id, rule, recorder, docking, facts, found_at, state, event)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (event.seq, *about.values(), json.dumps(facts, ensure_ascii=False, separators=(",", ":")), event.at,
         OPEN, event.seq),
    )  # fmt: skip


def _finding_moved(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    done = tx.execute(
        "UPDATE findings SET state = ?, event = ? WHERE id = ?",
        (event.kind.removeprefix("finding-"), event.seq, body["finding"]),
    )
    return done.rowcount == 1


def _looked(tx: sqlite3.Connection, event: Event, body: Body) -> bool:
    looked = json.dumps({body["target"]: {"at": event.at, "left": body["left"]}})
    done = tx.execute(
        "UPDATE findings SET looked = json_patch(looked, ?) WHERE id = ?", (looked, body["finding"])
    )
    return done.rowcount == 1


#: By the kind of event. False, or an error: it tells less than is needed.
_BEFORE: _Replays = {
    "docked": _docked,
    "undocked": _undocked,
    "docking-rebuilt": _docking_rebuilt,
    "upload-slot": _slot_first,
}
_OF_RETENTION: _Replays = {
    "docked": _docked,
    "docking-rebuilt": _docking_rebuilt,
    "clock-compared": _clock_compared,
    **REPLAYS,
}
_AFTER: _Replays = {
    "clock-compared": _clock_compared,
    "finding": _finding,
    **{f"finding-{state}": _finding_moved for state in (HERE, ELSEWHERE, EXPLAINED)},
    "finding-not-elsewhere": _looked,
    **REPLAYS,
    **OF_ACCESS,
    **OF_ORDERS,
}
