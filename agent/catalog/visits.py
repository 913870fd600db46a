"""What the dockings of a recorder brought that nobody has compared yet with what was known before.

A visit is all dockings of one recorder that ended and were not judged: its cards and parts dock one after the
other, and only together do they tell what is missing. Plain facts; `agent.custody` judges them.
"""

import sqlite3
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from agent.catalog.documents import path_fields

#: Seconds after a docking until it is judged: the next part of the same recorder begins within moments.
GRACE = 20.0
MEDIA = ("video", "audio", "photo")
_MEDIA = "kind IN ('video', 'audio', 'photo')"
_LATEST = 253402300799  # seconds: the last moment that a datetime can tell


@dataclass(frozen=True, slots=True)
class Docking:
    id: int
    slot: str
    fs_id: str
    started: float
    ended: float  # seconds since the epoch
    listed: bool  # every file on the card


@dataclass(frozen=True, slots=True)
class Item:
    """One numbered recording that came. Times are the recorder's own, without a zone."""

    clip: int
    docking: int
    fs_id: str
    kind: str
    sequence: int
    at: datetime | None  # as its name tells
    ended: datetime | None  # when the file was written last


@dataclass(frozen=True, slots=True)
class Gone:
    """One recording that was on a card and is not any more. `sequence` and `at` may be unknown."""

    clip: int
    docking: int  # which did not find it
    fs_id: str
    collected: bool
    sequence: int | None
    at: str | None
    name: str


@dataclass(frozen=True, slots=True)
class Use:
    """Who has a number."""

    clip: int
    kind: str
    at: datetime | None


@dataclass(frozen=True, slots=True)
class Visit:
    recorder: str
    dockings: tuple[Docking, ...]
    items: tuple[Item, ...] = ()
    gone: tuple[Gone, ...] = ()
    #: Every clip of the present round of the counter by its number, `items` included.
    uses: Mapping[int, tuple[Use, ...]] = field(default_factory=dict)
    told: frozenset[int] = frozenset()  # numbers that findings of this round tell of already
    waiting: Mapping[str, int] = field(default_factory=dict)  # card → clips that were never collected


def due(db: sqlite3.Connection, now: float | None = None) -> list[str]:
    """Recorders with a visit that is over."""
    now = time.time() if now is None else now
    rows = db.execute(
        "SELECT recorder FROM dockings INDEXED BY dockings_to_judge WHERE judged = 0 GROUP BY recorder"
        " HAVING count(ended) = count(*) AND NOT max(ended) BETWEEN ? AND ?",
        (now - GRACE, now),
    )
    return [str(row[0]) for row in rows]


def waiting(db: sqlite3.Connection) -> bool:
    """Whether there is a visit that ended and is not judged: it is over some seconds later. One of a recorder
    that is docked does not count: its end is a commit."""
    row = db.execute(
        "SELECT 1 FROM dockings INDEXED BY dockings_to_judge WHERE judged = 0 GROUP BY recorder"
        " HAVING count(ended) = count(*) LIMIT 1"
    ).fetchone()
    return row is not None


def load(db: sqlite3.Connection, recorder: str, after: int, since: int) -> Visit:
    """`after`: the last clip that was judged. `since`: the first clip of the present round of the counter."""
    dockings = tuple(_dockings(db, recorder))
    uses: dict[int, tuple[Use, ...]] = {}
    for number, use in _uses(db, recorder, since):
        uses[number] = (*uses.get(number, ()), use)
    return Visit(
        recorder,
        dockings,
        tuple(_items(db, recorder, after)),
        tuple(gone for docking in dockings for gone in _gone(db, recorder, docking.id)),
        uses,
        frozenset(_told(db, recorder, since)),
        dict(
            db.execute(
                "SELECT fs_id, count(*) FROM clips WHERE state IN ('seen', 'copying', 'quarantined')"
                f" AND recorder = ? AND {_MEDIA} GROUP BY fs_id",
                (recorder,),
            ).fetchall()
        ),
    )


def gone_of(db: sqlite3.Connection, recorder: str, docking: int) -> list[Gone]:
    """What `docking` found missing of the cards that it listed, as far as it has not come back."""
    return list(_gone(db, recorder, docking))


def _dockings(db: sqlite3.Connection, recorder: str) -> Iterator[Docking]:
    rows = db.execute(
        "SELECT id, slot, fs_id, started, ended, listed FROM dockings INDEXED BY dockings_to_judge"
        " WHERE judged = 0 AND recorder = ? AND ended IS NOT NULL ORDER BY id",
        (recorder,),
    )
    for docking, slot, fs_id, started, ended, listed in rows:
        yield Docking(docking, slot, fs_id, started, ended, bool(listed))


def _items(db: sqlite3.Connection, recorder: str, after: int) -> Iterator[Item]:
    """A recording that came under another name before (it was marked, or moved) is the one that it was. On a
    card with files of other recorders only those count that are named after this one."""
    rows = db.execute(
        "SELECT c.id, c.docking, c.fs_id, c.kind, c.sequence, c.recorded_at, c.mtime_ns, c.path, d.conflict,"
        " c.time_source FROM clips c JOIN dockings d ON d.id = c.docking"
        f" WHERE c.recorder = ? AND c.id > ? AND c.sequence IS NOT NULL AND c.assigned = 1 AND c.{_MEDIA}"
        " AND c.state <> 'merged' AND NOT EXISTS (SELECT 1 FROM clips e WHERE e.recorder = c.recorder"
        " AND e.sequence = c.sequence AND e.kind = c.kind AND e.recorded_at = c.recorded_at AND e.id < c.id)"
        " ORDER BY c.id",
        (recorder, after),
    )
    for clip, docking, fs_id, kind, sequence, at, mtime_ns, path, conflict, source in rows:
        if conflict and recorder.encode().upper() not in path.upper():
            continue
        named = _time(at) if source == "name" else None
        yield Item(clip, docking, fs_id, kind, sequence, named, _written(mtime_ns))


def _uses(db: sqlite3.Connection, recorder: str, since: int) -> Iterator[tuple[int, Use]]:
    rows = db.execute(
        "SELECT sequence, id, kind, recorded_at FROM clips INDEXED BY clips_by_number"
        " WHERE recorder = ? AND sequence IS NOT NULL AND id >= ?",
        (recorder, since),
    )
    for sequence, clip, kind, at in rows:
        yield sequence, Use(clip, kind, _time(at))


def _gone(db: sqlite3.Connection, recorder: str, docking: int) -> Iterator[Gone]:
    """Not what lies there under another name: as the same clip, or as one that says the same of itself."""
    rows = db.execute(
        "SELECT c.id, n.fs_id, c.state, c.sequence, c.recorded_at, n.path FROM names n"
        f" JOIN clips c ON c.id = n.clip WHERE n.gone = ? AND n.recorder = ? AND c.{_MEDIA}"
        " AND NOT EXISTS (SELECT 1 FROM names o WHERE o.clip = c.id AND o.fs_id = n.fs_id AND o.gone IS NULL)"
        " AND NOT EXISTS (SELECT 1 FROM clips o JOIN names p ON p.clip = o.id WHERE o.recorder = c.recorder"
        " AND o.sequence = c.sequence AND o.recorded_at = c.recorded_at AND o.size = c.size AND o.id <> c.id"
        " AND p.fs_id = n.fs_id AND p.gone IS NULL)"
        " GROUP BY c.id ORDER BY c.id",
        (docking, recorder),
    )
    for clip, fs_id, state, sequence, at, path in rows:
        collected = state not in ("seen", "copying", "missing", "quarantined", "merged")
        name = path_fields(path)["path"].rpartition("/")[2]
        yield Gone(clip, docking, fs_id, collected, sequence, at, name)


def _told(db: sqlite3.Connection, recorder: str, since: int) -> Iterator[int]:
    rows = db.execute(
        "SELECT json_extract(r.value, '$[0]'), json_extract(r.value, '$[1]')"
        " FROM findings, json_each(facts, '$.numbers') r"
        " WHERE recorder = ? AND rule = 'sequence-gap' AND findings.id >= ?",
        (recorder, since),
    )
    for first, last in rows:
        yield from range(first, last + 1)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _written(mtime_ns: int) -> datetime | None:
    """FAT's local time, which is read as UTC."""
    seconds = mtime_ns / 1e9
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None) if 0 < seconds < _LATEST else None
