"""Which clips an evidence package is to have, and what the catalog knows of them."""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from agent.errors import Reject
from agent.model import ClipState

_COLUMNS = "id, state, recorder, officer, recorded_at, key, size, lower(hex(sha256)), merged_into"
_EVENTS = (
    "SELECT seq, clip, kind, body, at, boot_id, clock_trusted FROM events WHERE clip = ? AND clip IS NOT NULL"
    " ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class Clip:
    """`sha256` in hex, "" while it is not known; `recorded_at` by the recorder's clock."""

    id: int
    state: ClipState
    recorder: str
    officer: str
    recorded_at: str | None
    key: str | None
    size: int
    sha256: str
    merged_into: int | None


def by_id(db: sqlite3.Connection, ids: Iterable[int]) -> list[Clip]:
    """In the order of their ids, each once; of one that was merged, the one that it became. Raises Reject
    `no-such-clip`."""
    found = dict[int, Clip]()
    for number in ids:
        clip = _one(db, number)
        while clip.merged_into is not None:
            clip = _one(db, clip.merged_into)
        found[clip.id] = clip
    return [found[number] for number in sorted(found)]


def by_facts(db: sqlite3.Connection, officer: str, since: str, until: str, most: int) -> list[Clip]:
    """Of this officer, recorded in this span of the recorder's clock (ISO 8601, both ends are in it); ""
    bounds nothing. A clip without a time is in no span. At most `most`, by rising id."""
    where, values = ["merged_into IS NULL"], list[str | int]()
    for column, value in (("officer =", officer), ("recorded_at >=", since), ("recorded_at <=", until)):
        if value:
            where.append(f"{column} ?")
            values.append(value)
    rows = db.execute(
        f"SELECT {_COLUMNS} FROM clips WHERE {' AND '.join(where)} ORDER BY id LIMIT ?", (*values, most)
    )
    return [_clip(row) for row in rows]


def story(db: sqlite3.Connection, clip: int) -> list[tuple[int, int, str, str, float, str, int]]:
    """Every event of a clip: seq, clip, kind, body, at, boot_id, clock_trusted."""
    return [tuple(row) for row in db.execute(_EVENTS, (clip,)).fetchall()]


def has_sm3(db: sqlite3.Connection, clip: int) -> bool:
    """Whether its SM3 was taken when it was collected."""
    row = db.execute("SELECT 1 FROM manifests WHERE clip = ? AND sm3 IS NOT NULL", (clip,)).fetchone()
    return row is not None


def events(
    db: sqlite3.Connection, numbers: Iterable[int]
) -> list[tuple[int, int, str, str, float, str, int]]:
    """As `story`, of these."""
    columns = "seq, clip, kind, body, at, boot_id, clock_trusted"
    return [
        tuple(db.execute(f"SELECT {columns} FROM events WHERE seq = ?", (one,)).fetchone()) for one in numbers
    ]


def _one(db: sqlite3.Connection, number: int) -> Clip:
    row = db.execute(f"SELECT {_COLUMNS} FROM clips WHERE id = ?", (number,)).fetchone()
    if row is None:
        raise Reject("no-such-clip", clip=number)
    return _clip(row)


def _clip(row: Iterable[object]) -> Clip:
    number, state, *others = row
    return Clip(number, ClipState(str(state)), *others)  # type: ignore[arg-type]
