"""Read-only questions: what the screens, the commands and the start ask."""

import sqlite3
from typing import Any

from agent.catalog.documents import path_fields
from agent.model import ClipState

_LIST = (
    "SELECT id, state, recorder, officer, path, size, kind, important, partial, assigned, recorded_at,"
    " seen_at, stored_at, key, lower(hex(sha256)) AS sha256, merged_into FROM clips"
)


def counts(db: sqlite3.Connection) -> dict[str, int]:
    """Clips by state; every state is there."""
    found = dict.fromkeys(map(str, ClipState), 0)
    found.update((state, clips) for state, clips in db.execute("SELECT state, clips FROM clip_counts"))
    return found


def clips(
    db: sqlite3.Connection, *, state: str = "", recorder: str = "", after: int = 0, limit: int = 100
) -> list[dict[str, Any]]:
    """Clips with an id above `after`, in order of their ids, at most `limit`."""
    where, args = ["id > ?"], [after]
    for column, value in (("state", state), ("recorder", recorder)):
        if value:
            where.append(f"{column} = ?")
            args.append(value)  # type: ignore[arg-type]
    rows = db.execute(f"{_LIST} WHERE {' AND '.join(where)} ORDER BY id LIMIT ?", (*args, limit))
    return [_listed(dict(row)) for row in rows]


def in_state(db: sqlite3.Connection, state: ClipState) -> list[tuple[int, str | None, int]]:
    """(id, key, size) of every clip in a state that few are in."""
    rows = db.execute("SELECT id, key, size FROM clips WHERE state = ? ORDER BY id", (state,))
    return [(row[0], row[1], row[2]) for row in rows]


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    row.update(path_fields(row["path"]))
    for flag in ("important", "partial", "assigned"):
        row[flag] = bool(row[flag])
    return row
