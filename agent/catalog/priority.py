"""What is read and goes to the centre before anything else because somebody asked for it, and what is late.

Functions that take `tx` run inside `Catalog.write`, and raise Reject for what cannot be asked for.
"""

import sqlite3

from agent.catalog import door
from agent.errors import Reject
from agent.model import PENDING_UPLOAD, ClipState

_SLOT, _NOW = 1, 2  # urgency
_WAITING = frozenset({ClipState.SEEN, ClipState.COPYING, *PENDING_UPLOAD})
_PENDING = "state IN ('stored', 'uploading', 'uploaded')"


def first(tx: sqlite3.Connection, clip: int, who: str) -> None:
    """This clip goes before all others, also when it has to be collected first."""
    row = tx.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()
    if row is None:
        raise Reject("no-such-clip", clip=clip)
    if row[0] == ClipState.REJECTED:
        raise Reject("clip-is-rejected", clip=clip)
    if row[0] not in _WAITING:
        raise Reject("clip-needs-no-upload", clip=clip, state=row[0])
    tx.execute("UPDATE clips SET urgency = ? WHERE id = ?", (_NOW, clip))
    door.note(tx, "upload-now", clip, {"who": who})


def first_of_slot(tx: sqlite3.Connection, slot: str, who: str) -> tuple[str, int]:
    """The clips of the recorder that was docked last in `slot` go first, with what that docking still
    brings; return its number and how many clips wait now."""
    row = tx.execute(
        "SELECT id, recorder, ended FROM dockings WHERE slot = ? ORDER BY id DESC LIMIT 1", (slot,)
    ).fetchone()
    if row is None:
        raise Reject("no-such-slot", slot=slot)
    docking, recorder, ended = row
    waiting = [
        clip
        for clip, state in tx.execute("SELECT id, state FROM clips WHERE recorder = ?", (recorder,))
        if state in _WAITING
    ]
    if ended is not None and not waiting:
        raise Reject("slot-needs-no-upload", slot=slot, recorder=recorder)
    tx.execute("UPDATE dockings SET urgency = ? WHERE id = ?", (_SLOT, docking))
    for clip in waiting:
        tx.execute("UPDATE clips SET urgency = max(urgency, ?) WHERE id = ?", (_SLOT, clip))
    facts = {"slot": slot, "docking": docking, "recorder": recorder, "clips": len(waiting), "who": who}
    door.note(tx, "upload-slot", None, facts)
    return str(recorder), len(waiting)


def of_docking(db: sqlite3.Connection, docking: int) -> int:
    """The urgency of what `docking` brings."""
    return int(db.execute("SELECT urgency FROM dockings WHERE id = ?", (docking,)).fetchone()[0])


def is_waited_for(db: sqlite3.Connection, recorder: str) -> bool:
    """Whether somebody asked for a clip of it that still has to be read."""
    row = db.execute(
        "SELECT 1 FROM clips WHERE state IN ('seen', 'copying') AND recorder = ? AND urgency > 0 LIMIT 1",
        (recorder,),
    )
    return row.fetchone() is not None


def rank(db: sqlite3.Connection, clip: int) -> tuple[int, int]:
    """(urgency, whether it is important): the larger one goes first."""
    row = db.execute("SELECT urgency, important FROM clips WHERE id = ?", (clip,)).fetchone()
    return int(row[0]), int(row[1])


def overdue(db: sqlite3.Connection, before: float) -> int:
    """How many clips that wait for upload were certainly seen before `before`, by a clock to be trusted.

    A clip's id is the number of its first event; so one is older than every event that came later, and
    may itself have been seen under a wrong clock."""
    pending = f"FROM clips INDEXED BY clips_to_upload WHERE {_PENDING}"
    oldest = db.execute(f"SELECT min(id) {pending}").fetchone()[0]
    if oldest is None:
        return 0
    row = db.execute(
        "SELECT seq FROM events WHERE seq >= ? AND clock_trusted = 1 AND at < ? ORDER BY seq DESC LIMIT 1",
        (oldest, before),
    ).fetchone()
    return int(db.execute(f"SELECT count(*) {pending} AND id <= ?", (row[0],)).fetchone()[0]) if row else 0
