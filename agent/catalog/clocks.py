"""The clock ledger: what is compared of a recorder's clock at each docking, and what came of it."""

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from agent.catalog import door

_LATEST = 64  # dockings of a recorder that are looked at
_FILES = (
    "SELECT min(recorded_at), max(recorded_at), count(*) FROM clips INDEXED BY clips_of_docking"
    " WHERE docking = ? AND assigned = 1 AND time_source = 'name' AND kind IN ('video', 'audio', 'photo')"
)
#: When this card was here last, and all of it was listed: whatever is new on it was made since.
_LEFT = (
    "SELECT max(ended) FROM dockings WHERE recorder = ? AND fs_id = ? AND id < ? AND listed = 1"
    " AND clock_trusted = 1 AND ended <= ?"
)


_CLIP = (
    "SELECT docking, clips.recorder, clips.fs_id, started, clock_trusted, conflict, low, high, recorded_at,"
    " time_source = 'name' FROM clips JOIN dockings ON dockings.id = docking"
    " LEFT JOIN clock_offsets USING (docking) WHERE clips.id = ?"
)


@dataclass(frozen=True, slots=True)
class Compared:
    """Times in seconds since the epoch; those of the recorder by its own clock, which has no zone: read in
    the station's."""

    docking: int
    recorder: str
    docked: float
    left: float | None
    earliest: float
    latest: float
    files: int


@dataclass(frozen=True, slots=True)
class Offset:
    """`low` ≤ seconds ahead ≤ `high`; None: nothing bounds it."""

    recorder: str
    docking: int
    at: float
    low: float
    high: float | None


@dataclass(frozen=True, slots=True)
class Recorded:
    """A clip, and the docking at which it was new. `recorded_at`: ISO 8601 without a zone, by the recorder's
    clock; `left`: when the card was here last with all of it listed, None where that is not known for sure;
    `low` ≤ seconds ahead ≤ `high` as the ledger has it for that docking, `low` None: it has nothing."""

    docking: int
    docked: float
    trusted: bool  # the station's clock, then
    left: float | None
    low: float | None
    high: float | None
    recorded_at: str | None
    named: bool  # its name tells the time


def recorded(db: sqlite3.Connection, clip: int) -> Recorded:
    docking, recorder, fs_id, docked, trusted, conflict, low, high, at, named = db.execute(
        _CLIP, (clip,)
    ).fetchone()
    left = db.execute(_LEFT, (recorder, fs_id, docking, docked)).fetchone()[0] if not conflict else None
    return Recorded(docking, docked, bool(trusted), left, low, high, at, bool(named))


def compared(db: sqlite3.Connection, docking: int) -> Compared | None:
    """What a docking tells of its recorder's clock; None when it brought no new file that names a time, or
    this station's own clock was not to be trusted."""
    recorder, fs_id, docked, trusted, conflict = db.execute(
        "SELECT recorder, fs_id, started, clock_trusted, conflict FROM dockings WHERE id = ?", (docking,)
    ).fetchone()
    earliest, latest, files = db.execute(_FILES, (docking,)).fetchone()
    if not trusted or conflict or not files:
        return None
    try:
        first, last = (datetime.fromisoformat(each).timestamp() for each in (earliest, latest))
    except (ValueError, OverflowError):  # a time that no calendar of this machine has
        return None
    left = db.execute(_LEFT, (recorder, fs_id, docking, docked)).fetchone()[0]
    return Compared(docking, recorder, docked, left, first, last, files)


def keep(tx: sqlite3.Connection, what: Compared, low: float, high: float | None) -> None:
    """With its event. Safe to repeat."""
    if tx.execute("SELECT 1 FROM clock_offsets WHERE docking = ?", (what.docking,)).fetchone():
        return
    facts = {"docking": what.docking, "recorder": what.recorder, "source": "names", "files": what.files}
    door.note(tx, "clock-compared", None, {**facts, "low": low, "high": high})
    tx.execute(
        "INSERT INTO clock_offsets VALUES (?, ?, ?, ?, ?)",
        (what.docking, what.recorder, what.docked, low, high),
    )


def recorders(db: sqlite3.Connection) -> list[str]:
    rows = db.execute("SELECT DISTINCT recorder FROM clock_offsets ORDER BY recorder")
    return [str(row[0]) for row in rows]


def offsets(db: sqlite3.Connection, recorder: str) -> list[Offset]:
    """The latest ones, from the oldest on."""
    rows = db.execute(
        "SELECT recorder, docking, at, low, high FROM clock_offsets WHERE recorder = ?"
        " ORDER BY at DESC, docking DESC LIMIT ?",
        (recorder, _LATEST),
    ).fetchall()
    return [Offset(*row) for row in reversed(rows)]


def last_of_each(db: sqlite3.Connection) -> Iterator[Offset]:
    rows = db.execute(
        "SELECT recorder, docking, max(at), low, high FROM clock_offsets GROUP BY recorder ORDER BY recorder"
    )
    return (Offset(*row) for row in rows.fetchall())
