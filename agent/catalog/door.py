"""The one door: every change of a clip's state goes through here, with its event, or not at all."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.clock import stamp as stamp
from agent.errors import WrongState
from agent.model import TRANSITIONS, ClipState


def note(tx: sqlite3.Connection, kind: str, clip: int | None, facts: Mapping[str, Any]) -> int:
    """Insert an event row; return its sequence number."""
    sequence = _next(tx)
    _insert(tx, sequence, clip, kind, facts)
    return sequence


def begin(tx: sqlite3.Connection, kind: str, columns: Mapping[str, Any], **facts: Any) -> int:
    """Insert a clip in state `seen` (or as rebuilt: `state` among the columns); return its id, which
    is the sequence number of the event that goes with it."""
    clip = _next(tx)
    state = ClipState(columns.get("state", ClipState.SEEN))
    _insert(tx, clip, clip, kind, {"from": None, "to": state, **facts})
    row = {**columns, "id": clip, "event": clip, "state": state}
    marks = ", ".join("?" * len(row))
    tx.execute(f"INSERT INTO clips ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))
    return clip


def change(tx: sqlite3.Connection, clip: int, old: ClipState, new: ClipState, **facts: Any) -> int:
    """Move a clip from `old` to `new`. Raises WrongState when there is no such move, or when the clip
    is not in `old`: somebody else moved it, and what the caller believes is out of date."""
    if new not in TRANSITIONS[old]:
        raise WrongState(clip=clip, old=str(old), new=str(new), why="no such move")
    sequence = note(tx, str(new), clip, {"from": old, "to": new, **facts})
    done = tx.execute(
        "UPDATE clips SET state = ?, event = ? WHERE id = ? AND state = ?", (new, sequence, clip, old)
    )
    if done.rowcount != 1:
        raise WrongState(clip=clip, old=str(old), new=str(new), why="not in that state")
    return sequence


def _next(tx: sqlite3.Connection) -> int:
    return int(tx.execute("SELECT coalesce(max(seq), 0) + 1 FROM events").fetchone()[0])


def _insert(
    tx: sqlite3.Connection, sequence: int, clip: int | None, kind: str, facts: Mapping[str, Any]
) -> None:
    now = stamp()
    body = json.dumps(facts, ensure_ascii=False, separators=(",", ":"), default=str)
    tx.execute(
        "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)",
        (sequence, clip, kind, body, now.wall, now.boot_id, now.trusted),
    )
