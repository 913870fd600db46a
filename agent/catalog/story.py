"""The station's story for the centre: its events in segments, and what each docking brought.

How far a target has been told is kept for each place behind its name. A story is one catalog's: another
catalog (rebuilt, or restored from an old copy) numbers other events alike, and begins another story.
"""

import json
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from agent.catalog.events import ROWS

MOST = 5_000  # events of a segment
LARGEST = 4 << 20  # bytes of a segment; only a single event may be larger
PAGE = 10_000  # clips of one document
_CLIPS = (
    "SELECT id AS clip, state, key, recorder, officer, recorded_at, size, lower(hex(sha256)) AS sha256,"
    " kind, important, partial, docking, (SELECT started FROM dockings d WHERE d.id = docking) AS docked,"
    " (SELECT clock_trusted FROM dockings d WHERE d.id = docking) AS docked_trusted, stored_at"
    " FROM clips INDEXED BY clips_of_docking"
    " WHERE docking = ? AND id > ? AND stored_at IS NOT NULL ORDER BY id LIMIT ?"
)
_FLAGS = ("important", "partial", "docked_trusted")
_DOCKINGS = (
    "SELECT id AS docking, slot, recorder, fs_id, officer, started, ended, outcome FROM dockings"
    " WHERE started >= ? AND started < ? ORDER BY started, id"
)
_TOUCHED = (
    "SELECT docking FROM events CROSS JOIN clips ON clips.id = clip WHERE seq >= :first AND seq < :next"
    " UNION SELECT json_extract(body, '$.docking') FROM events WHERE seq >= :first AND seq < :next"
    " AND kind IN ('docked', 'undocked')"
)


@dataclass(frozen=True, slots=True)
class Told:
    """What one place has of the story. Events are numbered from 1 without a gap."""

    story: str  # name of the folder
    next: int = 1  # number of the first event that is not told
    last: int = 0  # number of the first event in the segment that was laid last; 0: none was


def begun() -> Told:
    """A new story. By its name the later one comes last, as far as the clock was right."""
    return Told(f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}-{secrets.token_hex(4)}")


def told(db: sqlite3.Connection, target: str, place: str) -> Told | None:
    """None when this place was never told anything."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (_key(target, place),)).fetchone()
    return Told(**json.loads(row[0])) if row else None


def keep(tx: sqlite3.Connection, target: str, place: str, now: Told) -> None:
    tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (_key(target, place), json.dumps(asdict(now))))


def segment(db: sqlite3.Connection, first: int) -> tuple[bytes, int]:
    """Events from `first` on as lines of JSON, as many as go into one segment, and the number of the one
    after them. Nothing when there are none."""
    data = bytearray()
    for line in _lines(db, first, MOST):
        if data and len(data) + len(line) > LARGEST:
            break
        data += line
    return bytes(data), first + data.count(b"\n")


def retold(db: sqlite3.Connection, first: int, there: bytes) -> int | None:
    """The number of the event after those in `there`, a segment that begins with `first`; None when it is
    not, to the byte, what this catalog tells."""
    count = there.count(b"\n")
    told_here = b"".join(_lines(db, first, count)) if 0 < count <= MOST else b""
    return first + count if there and told_here == there else None


def dockings_touched(db: sqlite3.Connection, first: int, following: int) -> dict[int, str]:
    """Dockings that the events from `first` up to `following` are about, with their days."""
    rows = db.execute(_TOUCHED, {"first": first, "next": following}).fetchall()
    started = (
        (docking, db.execute("SELECT started FROM dockings WHERE id = ?", (docking,)).fetchone())
        for (docking,) in rows
    )
    return {docking: day_of(row[0]) for docking, row in started if row is not None}


def dockings_of(db: sqlite3.Connection, day: str) -> bytes:
    """Every docking that began on `day`, a line of JSON each."""
    begin = datetime.fromisoformat(day).replace(tzinfo=UTC)
    span = begin.timestamp(), (begin + timedelta(days=1)).timestamp()
    return b"".join(_line(row) for row in _rows(db, _DOCKINGS, span))


def clips_of(db: sqlite3.Connection, docking: int) -> Iterator[bytes]:
    """Every clip of the docking that was ever stored, a line of JSON each, in pages."""
    after = 0
    while rows := list(_rows(db, _CLIPS, (docking, after, PAGE))):
        after = rows[-1]["clip"]
        yield b"".join(_line({**row, **{name: bool(row[name]) for name in _FLAGS}}) for row in rows)


def day_of(at: float) -> str:
    """The day in UTC: which zone the station is in may change, the day of a docking may not."""
    return time.strftime("%Y-%m-%d", time.gmtime(at))


def _lines(db: sqlite3.Connection, first: int, most: int) -> Iterator[bytes]:
    for row in _rows(db, ROWS, (first, most)):
        body, trusted = json.loads(row["body"]), bool(row["clock_trusted"])
        yield _line({**row, "body": body, "clock_trusted": trusted})


def _line(facts: Mapping[str, Any]) -> bytes:
    """One form only: what was laid is compared to the byte."""
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"


def _rows(db: sqlite3.Connection, query: str, values: Iterable[Any]) -> Iterator[dict[str, Any]]:
    cursor = db.execute(query, tuple(values))
    try:
        names = [column[0] for column in cursor.description]
        yield from (dict(zip(names, row, strict=True)) for row in cursor)
    finally:
        cursor.close()


def _key(target: str, place: str) -> str:
    return f"told:{target}:{place}"
