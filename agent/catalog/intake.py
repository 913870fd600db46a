"""What ingest commits: dockings, what was seen, what is described, what is stored.

Every function that takes `tx` runs inside `Catalog.write`; the others read.
"""

import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from agent.catalog import door, handover, lives, priority, reconfirm, rot
from agent.model import COLLECTED, ClipState, Identity, Manifest, SourceClip, raw

S = ClipState


@dataclass(frozen=True, slots=True)
class Known:
    """A file that the catalog has met under this very name, size and mtime."""

    clip: int
    state: ClipState
    samples: bytes | None
    partial: bool
    important: bool
    rotten: bool = False

    @property
    def whole(self) -> bool:
        """Every byte of it is safe. One with unreadable ranges is read again at each docking: a loose
        plug looks like a bad sector; and one whose copy here is rotten, since this makes it whole."""
        return self.state in COLLECTED and not self.partial and not self.rotten


def begin_docking(tx: sqlite3.Connection, slot: str, identity: Identity) -> int:
    now = door.stamp()
    docking = tx.execute(
        "INSERT INTO dockings (slot, recorder, fs_id, officer, started, clock_trusted, conflict)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (slot, identity.recorder, identity.fs_id, identity.officer, now.wall, now.trusted, identity.conflict),
    ).lastrowid
    assert docking is not None
    votes = [list(vote) for vote in identity.votes]
    door.note(
        tx,
        "docked",
        None,
        {"docking": docking, "slot": slot, "recorder": identity.recorder, "fs_id": identity.fs_id,
         "officer": identity.officer, "votes": votes, "conflict": identity.conflict, "started": now.wall},
    )  # fmt: skip
    return docking


def end_docking(tx: sqlite3.Connection, docking: int, outcome: str) -> None:
    tx.execute(
        "UPDATE dockings SET ended = ?, outcome = ? WHERE id = ? AND ended IS NULL",
        (time.time(), outcome, docking),
    )
    (listed,) = tx.execute("SELECT listed FROM dockings WHERE id = ?", (docking,)).fetchone()
    told = handover.collected(tx, docking)
    door.note(tx, "undocked", None, {"docking": docking, "outcome": outcome, "listed": bool(listed), **told})


def known(db: sqlite3.Connection, identity: Identity, source: SourceClip) -> list[Known]:
    rows = db.execute(
        "SELECT names.clip, state, samples, partial, important, rotten.event IS NOT NULL FROM names"
        " JOIN clips ON clips.id = names.clip LEFT JOIN rotten ON rotten.clip = names.clip"
        " WHERE names.recorder = ? AND names.fs_id = ? AND names.path = ?"
        " AND names.size = ? AND names.mtime_ns = ?",
        (identity.recorder, identity.fs_id, raw(source.path), source.size, source.mtime_ns),
    )
    return [
        Known(clip, ClipState(state), samples, bool(partial), bool(important), bool(rotten))
        for clip, state, samples, partial, important, rotten in rows
    ]


def see(
    tx: sqlite3.Connection,
    docking: int,
    identity: Identity,
    sources: Iterable[SourceClip],
    officer_of: Callable[[SourceClip], str] = lambda source: "",
) -> list[int]:
    """Begin a clip for each file that the catalog has not met; return their ids in order. `officer_of` is
    asked, of the roster, where the recorder itself names nobody."""
    urgency = priority.of_docking(tx, docking)
    return [_see(tx, docking, urgency, identity, source, officer_of) for source in sources]


def _see(
    tx: sqlite3.Connection,
    docking: int,
    urgency: int,
    identity: Identity,
    source: SourceClip,
    officer_of: Callable[[SourceClip], str],
) -> int:
    path = raw(source.path)
    said = source.officer or identity.officer
    officer = said or officer_of(source)
    by_roster = {"officer_by": "roster"} if officer and not said else {}
    columns = {
        "recorder": identity.recorder,
        "fs_id": identity.fs_id,
        "path": path,
        "size": source.size,
        "mtime_ns": source.mtime_ns,
        "docking": docking,
        "urgency": urgency,
        "seen_at": time.time(),
        "kind": source.kind,
        "important": source.important,
        "assigned": identity.assigned,
        "officer": officer,
        "sequence": source.sequence,
        "recorded_at": source.recorded_at.isoformat() if source.recorded_at else None,
        "time_source": source.time_source,
        "name_parsed": source.name_parsed,
    }
    clip = door.begin(tx, "seen", columns, **lives.facts(columns), **by_roster)
    tx.execute(
        "INSERT INTO names (recorder, fs_id, path, size, mtime_ns, clip) VALUES (?, ?, ?, ?, ?, ?)",
        (identity.recorder, identity.fs_id, path, source.size, source.mtime_ns, clip),
    )
    return clip


def see_again(tx: sqlite3.Connection, clip: int, state: ClipState, docking: int) -> None:
    """A clip that was given up is on the recorder after all."""
    rot.forget(tx, clip)
    tx.execute(
        "UPDATE clips SET key = NULL, sha256 = NULL, urgency = max(urgency, ?) WHERE id = ?",
        (priority.of_docking(tx, docking), clip),
    )
    door.change(tx, clip, state, S.SEEN, docking=docking, reason="back on the recorder")


def mark_important(tx: sqlite3.Connection, clip: int) -> None:
    """The officer locked it after it was listed first."""
    _set_important(tx, clip)
    door.note(tx, "important", clip, {"important": True})


def _set_important(tx: sqlite3.Connection, clip: int) -> None:
    """Where it was confirmed it is asked for as soon as may be, also after it was released: it is to be
    locked for longer."""
    tx.execute("UPDATE clips SET important = 1 WHERE id = ?", (clip,))
    reconfirm.soon(tx, [clip])


def strayed(db: sqlite3.Connection, identity: Identity, there: Set[str]) -> tuple[list[int], list[int]]:
    """Names of this card that are not among the paths `there` any more, and those that are there again. What
    the station itself erased is neither."""
    rows = db.execute(
        "SELECT id, path, gone FROM names WHERE recorder = ? AND fs_id = ? AND erased IS NULL",
        (identity.recorder, identity.fs_id),
    )
    gone, back = list[int](), list[int]()
    for name, path, since in rows:
        if (os.fsdecode(path) in there) is (since is not None):
            (gone if since is None else back).append(int(name))
    return gone, back


def end_listing(
    tx: sqlite3.Connection,
    identity: Identity,
    docking: int,
    listed: set[int],
    names: tuple[list[int], list[int]],
) -> int:
    """Every file on the card was listed: note what is not there any more, in the clips and in `names`, as
    `strayed` gave them."""
    gone, back = names
    tx.executemany("UPDATE names SET gone = ? WHERE id = ?", [(docking, name) for name in gone])
    tx.executemany("UPDATE names SET gone = NULL WHERE id = ?", [(name,) for name in back])
    tx.execute("UPDATE dockings SET listed = 1 WHERE id = ?", (docking,))
    return mark_missing(tx, identity, docking, listed)


def mark_missing(tx: sqlite3.Connection, identity: Identity, docking: int, listed: set[int]) -> int:
    """Clips of this card that were seen, never collected, and are not there now."""
    rows = tx.execute(
        "SELECT id FROM clips WHERE state = ? AND recorder = ? AND fs_id = ?",
        (S.SEEN, identity.recorder, identity.fs_id),
    ).fetchall()
    gone = [int(clip) for (clip,) in rows if clip not in listed]
    for clip in gone:
        door.change(tx, clip, S.SEEN, S.MISSING, docking=docking)
    return len(gone)


def start(tx: sqlite3.Connection, clips: Iterable[int], docking: int) -> None:
    for clip in clips:
        door.change(tx, clip, S.SEEN, S.COPYING, docking=docking)


def give_back(tx: sqlite3.Connection, clip: int, reason: str, **facts: object) -> None:
    """The copy ended before it was whole; the next docking goes on with it."""
    tx.execute("UPDATE clips SET key = NULL, sha256 = NULL WHERE id = ?", (clip,))
    door.change(tx, clip, S.COPYING, S.SEEN, reason=reason, **facts)


def quarantine_copy(tx: sqlite3.Connection, clip: int, reason: str, **facts: object) -> None:
    door.change(tx, clip, S.COPYING, S.QUARANTINED, reason=reason, **facts)


def still_recording(db: sqlite3.Connection, identity: Identity) -> dict[bytes, int]:
    """Path → clip of those that were given back because the recorder was still writing them."""
    rows = db.execute(
        "SELECT path, id FROM clips JOIN events ON seq = event WHERE state = ? AND recorder = ? AND fs_id = ?"
        " AND json_extract(body, '$.reason') = 'still-recording'",
        (S.SEEN, identity.recorder, identity.fs_id),
    )
    return dict(rows.fetchall())


def grown(tx: sqlite3.Connection, clip: int, source: SourceClip) -> None:
    """The recorder was still writing: the clip is what the file is now."""
    now = (source.size, source.mtime_ns, clip)
    was = tx.execute("SELECT size FROM clips WHERE id = ?", (clip,)).fetchone()[0]
    tx.execute("UPDATE clips SET size = ?, mtime_ns = ? WHERE id = ?", now)
    tx.execute("UPDATE names SET size = ?, mtime_ns = ? WHERE clip = ?", now)
    door.note(tx, "grown", clip, {"size": source.size, "was": was, "mtime_ns": source.mtime_ns})


def describe(tx: sqlite3.Connection, clip: int, manifest: Manifest, key: str, samples: bytes) -> int | None:
    """The copy is on disk and verified: keep what it is before it gets its name in the store.

    Returns None, or the id of the clip of the same recorder that already has this content: then this
    one is merged into it and its copy is not needed."""
    digest = bytes.fromhex(manifest.sha256)
    tx.execute("UPDATE names SET samples = ? WHERE clip = ? AND samples IS NULL", (samples, clip))
    known_as = twin(tx, clip, manifest, key)
    if known_as is not None:
        _merge(tx, clip, known_as[0])
        return known_as[0]
    # What a target vouched for was the content before; it says nothing about this one.
    tx.execute("DELETE FROM deliveries WHERE clip = ?", (clip,))
    tx.execute(
        "UPDATE clips SET key = ?, sha256 = ?, partial = ? WHERE id = ?",
        (key, digest, bool(manifest.unreadable), clip),
    )
    tx.execute(
        "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?)",
        (clip, manifest.part_size, b"".join(manifest.parts),
         bytes.fromhex(manifest.sm3) or None, json.dumps(manifest.unreadable)),
    )  # fmt: skip
    return None


def twin(db: sqlite3.Connection, clip: int, manifest: Manifest, key: str) -> tuple[int, ClipState] | None:
    """The clip of the same recorder that has this content already. Empty and damaged files have one only
    in what was read at the very same place (their key says so): their content tells nothing apart."""
    same: tuple[str, bytes | str] = ("key = ?", key)
    if manifest.size and not manifest.unreadable:
        # In the words of the index clips_one_content: else every clip of the recorder would be looked at.
        same = ("sha256 = ? AND size > 0 AND partial = 0", bytes.fromhex(manifest.sha256))
    row = db.execute(
        f"SELECT id, state FROM clips WHERE recorder = (SELECT recorder FROM clips WHERE id = ?)"
        f" AND {same[0]} AND size = ? AND partial = ? AND own = 1 AND id <> ?",
        (clip, same[1], manifest.size, bool(manifest.unreadable), clip),
    ).fetchone()
    return (int(row[0]), ClipState(row[1])) if row else None


def store(tx: sqlite3.Connection, clips: Iterable[int]) -> None:
    """The copies have their names in the store, and those names are on disk."""
    for clip in clips:
        tx.execute("UPDATE clips SET stored_at = ? WHERE id = ?", (time.time(), clip))
        key, size, sha256, partial = tx.execute(
            "SELECT key, size, hex(sha256), partial FROM clips WHERE id = ?", (clip,)
        ).fetchone()
        facts = {"key": key, "size": size, "sha256": sha256.lower(), "partial": bool(partial)}
        door.change(tx, clip, S.COPYING, S.STORED, **facts)


def uncollected(db: sqlite3.Connection, clips: Iterable[int]) -> int:
    """How many of these are not safe, or not whole (a merged one is what the clip is that it became)."""
    return sum(not _whole(db, clip) for clip in clips)


def _whole(db: sqlite3.Connection, clip: int) -> bool:
    state, into, partial = db.execute(
        "SELECT state, merged_into, partial FROM clips WHERE id = ?", (clip,)
    ).fetchone()
    return _whole(db, into) if state == S.MERGED else state in COLLECTED and not partial


def _merge(tx: sqlite3.Connection, clip: int, into: int) -> None:
    important, urgency = tx.execute("SELECT important, urgency FROM clips WHERE id = ?", (clip,)).fetchone()
    tx.execute("UPDATE clips SET merged_into = ? WHERE id = ?", (into, clip))
    tx.execute("UPDATE names SET clip = ? WHERE clip = ?", (into, clip))
    if important:
        _set_important(tx, into)
    tx.execute("UPDATE clips SET urgency = max(urgency, ?) WHERE id = ?", (urgency, into))
    door.change(tx, clip, S.COPYING, S.MERGED, into=into)
    door.note(tx, "named", into, {"by": clip, "important": bool(important)})


def twins(db: sqlite3.Connection, clips: Iterable[int]) -> set[int]:
    """The described clips that some of these were merged into."""
    rows = (
        db.execute(
            "SELECT twin.id FROM clips JOIN clips AS twin ON twin.id = clips.merged_into"
            " WHERE clips.id = ? AND twin.key IS NOT NULL",
            (clip,),
        ).fetchone()
        for clip in clips
    )
    return {int(row[0]) for row in rows if row}


def close_interrupted(tx: sqlite3.Connection) -> None:
    """Dockings that the last agent did not see the end of."""
    for (docking,) in tx.execute("SELECT id FROM dockings WHERE ended IS NULL").fetchall():
        end_docking(tx, docking, "interrupted")


def copying(db: sqlite3.Connection, clips: Iterable[int]) -> list[int]:
    """Those of `clips` that are still in the middle."""
    return [
        clip
        for clip in clips
        if db.execute("SELECT 1 FROM clips WHERE id = ? AND state = ?", (clip, S.COPYING)).fetchone()
    ]


def copying_of(db: sqlite3.Connection, recorder: str) -> list[int]:
    """Clips of a recorder that an earlier docking left in the middle."""
    rows = db.execute("SELECT id FROM clips WHERE state = ? AND recorder = ?", (S.COPYING, recorder))
    return [int(row[0]) for row in rows]
