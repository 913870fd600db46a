"""A lost catalog, restored from its events: the rows themselves, what follows from them, and every clip that
they tell enough of.

Clips are restored where their events leave them. That a copy is here is not believed: `agent.catalog.rebuild`
looks for it.
"""

import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from agent.catalog import door, events, lives, replay
from agent.catalog.database import Catalog
from agent.catalog.events import Event
from agent.catalog.faults import REFUSED
from agent.catalog.lives import Life
from agent.catalog.progress import Progress
from agent.model import ClipState

S = ClipState
_EVENTS = 2_048  # that share one commit
_BYTES = 4 << 20  # of their bodies: bounds the memory of a group
_CLIPS = 200  # that share one commit
#: A copy that these say to be here is looked for.
HERE = (S.STORED, S.UPLOADING, S.UPLOADED, S.CONFIRMED, S.REJECTED)
#: While clips are matched with their sidecars: under which number an earlier rebuild had met them.
_INDEX = "CREATE INDEX rebuilt_was ON events (json_extract(body, '$.was')) WHERE kind = 'rebuilt'"


@dataclass(slots=True)
class Restored:
    events: int = 0
    unused: int = 0  # events that tell less than the rest of the catalog needs
    last: float | None = None  # when the last event was, seconds since the epoch


def restore(catalog: Catalog, again: Iterable[Event], progress: Progress) -> Restored:
    """Fill an empty catalog from its events, in their order. To be ended by `finish`."""
    restored = Restored()
    for group in _groups(again):
        restored.unused += catalog.write(lambda tx, group=group: _insert(tx, group))  # type: ignore[misc]
        restored.events, restored.last = group[-1].seq, group[-1].at
    catalog.write(lambda tx: tx.execute(_INDEX))
    last, merged = 0, list[int]()
    while last < restored.events:
        last = catalog.write(lambda tx, last=last: _clips(tx, last, merged))  # type: ignore[misc]
        progress.lives(min(last, restored.events), restored.events)
    for at in range(0, len(merged), _CLIPS):
        catalog.write(lambda tx, lot=merged[at : at + _CLIPS]: [_clip(tx, clip) for clip in lot])  # type: ignore[misc]
    return restored


def finish(catalog: Catalog, restored: Restored) -> None:
    """Every clip that can come back is back, those from sidecars, too."""
    catalog.write(lambda tx: tx.execute("DROP INDEX rebuilt_was"))
    last = 0
    while True:
        last, unused = catalog.write(
            lambda tx, last=last: replay.after_clips(tx, last, restored.events, _EVENTS)  # type: ignore[misc]
        )
        if not last:
            return
        restored.unused += unused


def logged(tx: sqlite3.Connection, number: int, recorder: str, sha256: str, path: str) -> Life | None:
    """What the events tell of the clip that a sidecar calls `number`; None when they know none with this
    content. After an earlier rebuild the clip has another number than in its sidecar."""
    was = tx.execute(
        "SELECT clip FROM events WHERE kind = 'rebuilt' AND json_extract(body, '$.was') = ?"
        " ORDER BY seq DESC",
        (number,),
    )
    for clip in (number, *(int(row[0]) for row in was.fetchall())):
        life = lives.of(tx, clip)
        if life is not None and _is_it(tx, life, recorder, sha256, path):
            return life
    return None


def begin(tx: sqlite3.Connection, life: Life, columns: dict[str, object]) -> None:
    """The row of a clip, where its events leave it; `columns` beside those that the events tell, or instead
    of them."""
    told = {**life.columns, **columns}
    # Last, and together: on its way a clip may have been in others' places.
    late = {name: told.pop(name, None) for name in ("key", "sha256", "stored_at", "merged_into")}
    door.again(tx, life.clip, told, life.steps)
    tx.execute(
        "UPDATE clips SET key = ?, sha256 = ?, stored_at = ?, merged_into = ? WHERE id = ?",
        (*late.values(), life.clip),
    )


def _groups(again: Iterable[Event]) -> Iterator[list[Event]]:
    group, size = list[Event](), 0
    for event in again:
        group.append(event)
        size += len(event.body)
        if len(group) == _EVENTS or size > _BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _insert(tx: sqlite3.Connection, group: list[Event]) -> int:
    events.insert(tx, group)
    return replay.before_clips(tx, group)


def _clips(tx: sqlite3.Connection, after: int, merged: list[int]) -> int:
    """Clips with numbers above `after`, as many as share a commit; return the last one's. Those that became
    another one, which is not here yet, are put aside in `merged`."""
    rows = tx.execute(
        "SELECT DISTINCT clip FROM events WHERE clip > ? ORDER BY clip LIMIT ?", (after, _CLIPS)
    ).fetchall()
    for (clip,) in rows:
        if not _clip(tx, clip):
            merged.append(clip)
    return int(rows[-1][0]) if len(rows) == _CLIPS else 1 << 62


def _clip(tx: sqlite3.Connection, clip: int) -> bool:
    """False when the one that it became is not here."""
    life = lives.of(tx, clip)
    if life is None or not life.whole:
        return True
    into = life.columns.get("merged_into") if life.state is S.MERGED else None
    if into is not None and not tx.execute("SELECT 1 FROM clips WHERE id = ?", (into,)).fetchone():
        return False
    row = tx.execute("SELECT recorder, fs_id, urgency FROM dockings WHERE id = ?", (life.docking,)).fetchone()
    if row is None:
        return True
    try:  # without a savepoint: it would make each of the many steps several times as dear
        urgency = max(row[2], life.columns.get("urgency", 0))
        begin(tx, life, {"recorder": row[0], "fs_id": row[1], "urgency": urgency})
        _name(tx, life, row[0], row[1])
        _manifest(tx, life)
    except REFUSED:
        pass  # what is not in its row now is told by its sidecar, or stays untold
    return True


def _name(tx: sqlite3.Connection, life: Life, recorder: str, fs_id: str) -> None:
    """Whether it is on its card still is known of those that wait there. Of others it is not asked what
    became of them since: nobody is accused of what was told before."""
    told = life.columns
    into = told["merged_into"] if life.state is S.MERGED else life.clip
    gone = None if life.state in (S.SEEN, S.COPYING) else life.docking
    tx.execute(
        "INSERT INTO names (recorder, fs_id, path, size, mtime_ns, clip, gone) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (recorder, fs_id, told["path"], told["size"], told["mtime_ns"], into, gone),
    )


def _manifest(tx: sqlite3.Connection, life: Life) -> None:
    """Parts are told by the sidecar alone: without it, the clip is one."""
    told = life.columns
    if told.get("key") is not None and told.get("sha256") is not None:
        tx.execute(
            "INSERT INTO manifests VALUES (?, ?, ?, NULL, '[]')",
            (life.clip, max(told["size"], 1), told["sha256"] if told["size"] else b""),
        )


def _is_it(tx: sqlite3.Connection, life: Life, recorder: str, sha256: str, path: str) -> bool:
    """As far as the events tell. One of whose content they say nothing was on its way when they end."""
    docking = tx.execute("SELECT recorder FROM dockings WHERE id = ?", (life.docking,)).fetchone()
    if docking is not None and docking[0] != recorder:
        return False
    told = life.columns.get("sha256")
    if told is not None:
        return bool(told == bytes.fromhex(sha256))
    return life.path == path and life.state in (S.SEEN, S.COPYING, S.MISSING)
