"""What the period of a clip counts from."""

import sqlite3
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Times:
    important: bool
    recorded: datetime | None  # what the recorder's clock said, local time without a zone
    docked: float | None  # seconds since the epoch; None while this station's clock was never trusted


def times(db: sqlite3.Connection, clip: int, now: float) -> Times:
    """Of a clip that was docked under a wrong clock, the docking is taken to be the first moment after it
    whose time can be trusted: it was no later than that. `now`, a trusted time, tells of a moment that is
    still to come that its clock was wrong, whoever trusted it."""
    important, recorded, docked, trusted = db.execute(
        "SELECT important, recorded_at, started, clock_trusted FROM clips"
        " JOIN dockings ON dockings.id = docking WHERE clips.id = ?",
        (clip,),
    ).fetchone()
    if not trusted or docked > now:
        docked = _later(db, clip, now)
    return Times(bool(important), datetime.fromisoformat(recorded) if recorded else None, docked)


def _later(db: sqlite3.Connection, clip: int, now: float) -> float | None:
    # A clip's id is the number of its first event.
    row = db.execute(
        "SELECT at FROM events WHERE seq >= ? AND clock_trusted AND at <= ? ORDER BY seq LIMIT 1", (clip, now)
    ).fetchone()
    return float(row[0]) if row else None
