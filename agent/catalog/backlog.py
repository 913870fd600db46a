"""Since when the clip waits that waits longest, and what was carried on since a moment.

Asked at every scrape: no question here looks at every clip, or at every clip that waits.
"""

import sqlite3
import threading
from collections.abc import Mapping
from typing import NamedTuple

from agent.catalog import events

_URGENT = (0, 1, 2)  # as agent.catalog.priority gives them
#: One seek for each rank: the index is ordered by docking below that, so no clip is passed over.
_FIRST = (
    "SELECT docking, id FROM clips INDEXED BY clips_to_upload"
    " WHERE state IN ('stored', 'uploading', 'uploaded') AND urgency = ? AND important = ?"
    " ORDER BY docking, id LIMIT 1"
)
_DOCKED = "SELECT started, clock_trusted FROM dockings WHERE id = ?"
_TRUSTED_THEN = (
    "SELECT at FROM events INDEXED BY events_trusted"
    " WHERE clock_trusted = 1 AND seq >= ? ORDER BY seq LIMIT 1"
)
#: Moves of clips by what a station is asked about. `stored`: off a recorder, not healed nor offered again.
_MOVED = (
    "SELECT e.kind, count(*), coalesce(sum(c.size), 0) FROM events e CROSS JOIN clips c ON c.id = e.clip"
    " WHERE e.seq > ? AND e.seq <= ? AND (e.kind IN ('uploaded', 'confirmed')"
    " OR (e.kind = 'stored' AND json_extract(e.body, '$.from') = 'copying')) GROUP BY e.kind"
)
_MOST = 10_000  # events that are looked through at once: a scrape after a long silence stays a short one


class Amount(NamedTuple):
    clips: int
    bytes: int


def by_state(db: sqlite3.Connection) -> dict[str, Amount]:
    """Of states that a clip ever was in."""
    rows = db.execute("SELECT state, clips, bytes FROM clip_counts").fetchall()
    return {str(state): Amount(int(clips), int(size)) for state, clips, size in rows}


def waits_since(db: sqlite3.Connection) -> tuple[bool, float | None]:
    """(whether any clip waits for upload, when that one was docked which waits longest). Docked under a wrong
    clock, it counts from the first moment at which that was right; None: there was none yet."""
    ranks = [(urgency, important) for urgency in _URGENT for important in (0, 1)]
    firsts = [row for rank in ranks if (row := db.execute(_FIRST, rank).fetchone()) is not None]
    if not firsts:
        return False, None
    docking, clip = min((int(row[0]), int(row[1])) for row in firsts)
    started, trusted = db.execute(_DOCKED, (docking,)).fetchone()
    if trusted:
        return True, float(started)
    then = db.execute(_TRUSTED_THEN, (clip,)).fetchone()
    return True, None if then is None else float(then[0])


class Moved:
    """What was stored, uploaded and confirmed since `after`, the number of an event. From any thread."""

    def __init__(self, after: int) -> None:
        self._lock = threading.Lock()
        self._after = after
        self._so_far = dict.fromkeys(("stored", "uploaded", "confirmed"), Amount(0, 0))

    def look(self, db: sqlite3.Connection) -> Mapping[str, Amount]:
        """By kind; never less than before. What is too much for one look is counted by the next ones."""
        with self._lock:
            until = min(events.last(db), self._after + _MOST)
            for kind, clips, size in db.execute(_MOVED, (self._after, until)).fetchall():
                had = self._so_far[kind]
                self._so_far[kind] = Amount(had.clips + clips, had.bytes + size)
            self._after = until
            return dict(self._so_far)
