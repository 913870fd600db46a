"""The one door: every change of a clip's state goes through here, with its event, or not at all."""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from agent.clock import stamp as stamp
from agent.errors import WrongState
from agent.model import TRANSITIONS, ClipState

_ANOTHERS = (ClipState.MERGED, ClipState.QUARANTINED)  # as triggers of the catalog have it


def note(tx: sqlite3.Connection, kind: str, clip: int | None, facts: Mapping[str, Any]) -> int:
    """Insert an event row; return its sequence number."""
    sequence = _next(tx)
    _insert(tx, sequence, clip, kind, facts)
    return sequence


def begin(tx: sqlite3.Connection, kind: str, columns: Mapping[str, Any], /, **facts: Any) -> int:
    """Insert a clip in state `seen` (or as rebuilt: `state` among the columns); return its id, which
    is the sequence number of the event that goes with it."""
    clip = _next(tx)
    state = ClipState(columns.get("state", ClipState.SEEN))
    _insert(tx, clip, clip, kind, {"from": None, "to": state, **facts})
    _begin(tx, clip, {**columns, "event": clip, "state": state})
    return clip


def change(tx: sqlite3.Connection, clip: int, old: ClipState, new: ClipState, **facts: Any) -> int:
    """Move a clip from `old` to `new`. Raises WrongState when there is no such move, or when the clip
    is not in `old`: somebody else moved it, and what the caller believes is out of date."""
    if new not in TRANSITIONS[old]:
        raise WrongState(clip=clip, old=str(old), new=str(new), why="no such move")
    return _moved(tx, str(new), clip, old, new, facts)


def again(
    tx: sqlite3.Connection, clip: int, columns: Mapping[str, Any], steps: Iterable[tuple[int, str]]
) -> None:
    """A clip of a lost catalog whose events are here again: it begins with its first one and goes the way
    that they tell. `steps`: (number of the event, state), at least one."""
    (first, state), *others = steps
    _begin(tx, clip, {**columns, "event": first, "state": state})
    tx.executemany(
        "UPDATE clips SET event = ?, state = ? WHERE id = ?", [(seq, step, clip) for seq, step in others]
    )


def found(tx: sqlite3.Connection, clip: int, old: ClipState, **facts: Any) -> int:
    """A rebuild has read the copy and found it equal: it is stored, whatever was known of it before."""
    return _moved(tx, "rebuilt", clip, old, ClipState.STORED, facts)


def not_found(tx: sqlite3.Connection, clip: int, old: ClipState) -> int:
    """A rebuild looked for the copy, and it is not there, or not equal."""
    return _moved(tx, "copy-missing", clip, old, ClipState.QUARANTINED, {"reason": "copy-missing"})


def _moved(
    tx: sqlite3.Connection, kind: str, clip: int, old: ClipState, new: ClipState, facts: Mapping[str, Any]
) -> int:
    """Raises WrongState."""
    sequence = note(tx, kind, clip, {"from": old, "to": new, **facts})
    done = tx.execute(
        "UPDATE clips SET state = ?, event = ? WHERE id = ? AND state = ?", (new, sequence, clip, old)
    )
    if done.rowcount != 1:
        raise WrongState(clip=clip, old=str(old), new=str(new), why="not in that state")
    return sequence


def _begin(tx: sqlite3.Connection, clip: int, columns: Mapping[str, Any]) -> None:
    row = {**columns, "id": clip, "own": columns["state"] not in _ANOTHERS}
    marks = ", ".join("?" * len(row))
    tx.execute(f"INSERT INTO clips ({', '.join(row)}) VALUES ({marks})", tuple(row.values()))


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
