"""What a docking handed over, as its last event tells it: what a receipt says."""

import hashlib
import json
import sqlite3
from typing import Any

from agent.errors import Reject

#: From the events: a recorder may have brought a hundred thousand clips before.
#: What was taken in tells its digest; what only goes back to `stored`, since a target lost it, does not.
_STORED = (
    "SELECT size, lower(hex(sha256)), recorded_at FROM events CROSS JOIN clips ON clips.id = events.clip"
    " WHERE seq > ? AND events.kind = 'stored' AND json_extract(body, '$.sha256') IS NOT NULL"
    " AND recorder = ?"
)
_NEAR = 100_000  # events


def collected(db: sqlite3.Connection, docking: int) -> dict[str, Any]:
    """Slot, recorder and officer of a docking that is under way, and of the clips that became safe in it:
    how many, their bytes, between which times of the recorder's clock they were recorded, and the SHA-256
    over their digests (in hex, sorted, a line each)."""
    slot, recorder, officer = db.execute(
        "SELECT slot, recorder, officer FROM dockings WHERE id = ?", (docking,)
    ).fetchone()
    # Of one recorder there is one docking at a time: what was stored since it began is its own.
    clips = db.execute(_STORED, (_event(db, "docked", docking), recorder)).fetchall()
    recorded = sorted(clip[2] for clip in clips if clip[2])
    lines = "".join(f"{sha256}\n" for sha256 in sorted(clip[1] for clip in clips))
    return {
        "slot": slot,
        "recorder": recorder,
        "officer": officer,
        "clips": len(clips),
        "bytes": sum(clip[0] for clip in clips),
        "recorded_from": recorded[0] if recorded else None,
        "recorded_to": recorded[-1] if recorded else None,
        "digest": hashlib.sha256(lines.encode()).hexdigest(),
    }


def event_of_docking(db: sqlite3.Connection, docking: int) -> int:
    """The number of the event with which it ended. Raises Reject."""
    row = db.execute("SELECT ended FROM dockings WHERE id = ?", (docking,)).fetchone()
    if row is None:
        raise Reject("no-such-docking", docking=docking)
    seq = _end(db, docking) if row[0] is not None else 0
    if not seq:
        raise Reject("docking-goes-on", docking=docking)
    return seq


def event_of_slot(db: sqlite3.Connection, slot: str) -> int:
    """Of the docking that ended last in `slot`. Raises Reject."""
    row = db.execute(
        "SELECT id FROM dockings WHERE slot = ? AND ended IS NOT NULL ORDER BY id DESC LIMIT 1", (slot,)
    ).fetchone()
    if row is None:
        raise Reject("no-such-slot", slot=slot)
    return event_of_docking(db, row[0])


def event_of_clip(db: sqlite3.Connection, clip: int) -> int:
    """The number of the event with which it became safe last. Raises Reject."""
    row = db.execute(
        "SELECT max(seq) FROM events WHERE clip = ? AND kind IN ('stored', 'rebuilt')"
        " AND json_extract(body, '$.sha256') IS NOT NULL",
        (clip,),
    ).fetchone()
    if row[0] is None:
        raise Reject("clip-not-stored", clip=clip)
    return int(row[0])


def _end(db: sqlite3.Connection, docking: int) -> int:
    """Between millions of events of other dockings: looked for behind the first event of a clip that came in
    it, or in the last one before it that brought any. 0 when there is none."""
    row = db.execute(
        "SELECT (SELECT min(seq) FROM events WHERE clip = c.id) FROM clips c INDEXED BY clips_of_docking"
        " WHERE c.docking <= ? ORDER BY c.docking DESC LIMIT 1",
        (docking,),
    ).fetchone()
    since = row[0] if row and row[0] else 0
    query = "SELECT seq, body FROM events WHERE kind = 'undocked' AND seq BETWEEN ? AND ? ORDER BY seq"
    for seq, body in db.execute(query, (since, since + _NEAR)).fetchall():
        if json.loads(body).get("docking") == docking:
            return int(seq)
    return _event(db, "undocked", docking)  # of a catalog that was made anew, or days later


def _event(db: sqlite3.Connection, kind: str, docking: int) -> int:
    """The last one of this kind about it; 0 when there is none. Looked for from the end on: that of a
    docking that is under way, or ended lately, is found at once."""
    for seq, body in db.execute("SELECT seq, body FROM events WHERE kind = ? ORDER BY seq DESC", (kind,)):
        if json.loads(body).get("docking") == docking:
            return int(seq)
    return 0
