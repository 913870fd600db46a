"""The clips of a lost catalog, restored from the store and the sidecars beside them.

A clip comes back as `stored`, which says that its bytes were read from the disk and found equal: so
they are. What a target had confirmed is not in the sidecars and is not believed: every clip is offered
to the targets again, and they tell what they have. Where its events are back already (`restore`), a clip
goes on under its own number.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.catalog import door, lives, restore
from agent.catalog.database import Catalog
from agent.catalog.faults import REFUSED
from agent.catalog.lives import Life
from agent.catalog.progress import SILENT, Progress
from agent.catalog.restore import HERE
from agent.catalog.sidecar import Sidecar, Unusable, compare, read
from agent.model import ClipState, printable

_GROUP = 200  # clips that share one commit
_LONG = 50_000  # parts and names of a group: bounds its memory
_ELSEWHERE = (
    "SELECT count(*) FROM events WHERE seq = clip AND seq <= ? AND NOT EXISTS"
    " (SELECT 1 FROM clips WHERE id = events.clip)"
)


@dataclass(slots=True)
class Rebuilt:
    clips: int = 0  # that were read and found equal
    missing: int = 0  # whose copies should be here, and are not, or are not equal
    elsewhere: int = 0  # of which the events tell, and not enough for the catalog
    faults: list[str] = field(default_factory=list)  # sentences: file and what is wrong with it


def rebuild(catalog: Catalog, clips: Path, progress: Progress = SILENT, logged: int = 0) -> Rebuilt:
    """Fill a catalog from what lies below `clips`; it is empty, or has its first `logged` events back. What
    cannot be read, or is not what its sidecar says, is told and left out; it stays where it is."""
    result = Rebuilt()
    for group in _groups(_verified(clips, result, progress)):
        faults = catalog.write(lambda tx, group=group: _insert_all(tx, group, logged))  # type: ignore[misc]
        result.clips += len(group) - len(faults)
        result.faults += faults
    if logged:
        last = 0
        while lost := catalog.write(lambda tx, last=last: _not_found(tx, last, logged)):  # type: ignore[misc]
            result.missing, last = result.missing + len(lost), lost[-1]
        (result.elsewhere,) = catalog.read().execute(_ELSEWHERE, (logged,)).fetchone()
    return result


def _verified(clips: Path, result: Rebuilt, progress: Progress) -> Iterator[Sidecar]:
    done = size = 0

    def advanced(more: int) -> None:
        nonlocal size
        size += more
        progress.clips(done, size)

    for path in _media(clips, result.faults):
        name = path.relative_to(clips).as_posix()
        try:
            sidecar = _sidecar_of(path, name)
            compare(path, sidecar, advanced)
        except Unusable as error:
            result.faults.append(f"{printable(name)}: {error}")
        except OSError as error:
            result.faults.append(f"{printable(name)}: cannot be read: {error.strerror}")
        else:
            done += 1
            yield sidecar


def _media(clips: Path, faults: list[str]) -> Iterator[Path]:
    """Every file that is not the sidecar of another one. A recorder's own `x.json` is a clip: it has a
    sidecar of its own."""

    def unreadable(error: OSError) -> None:
        faults.append(f"{printable(str(error.filename))}: cannot be read: {error.strerror}")

    for folder, subfolders, files in os.walk(clips, onerror=unreadable):
        subfolders.sort()
        there = set(files)
        for name in sorted(there):
            if f"{name}.json" in there or name.removesuffix(".json") == name or name[:-5] not in there:
                yield Path(folder) / name


def _sidecar_of(path: Path, name: str) -> Sidecar:
    try:
        sidecar = read(path.with_name(path.name + ".json"))
    except FileNotFoundError:
        raise Unusable("lies alone: a clip without its sidecar, or a sidecar without its clip") from None
    except Unusable as error:
        raise Unusable(f"the file beside it {error}") from None
    if sidecar.key != name:
        raise Unusable(f"the sidecar beside it belongs to another file ({printable(sidecar.key)})")
    return sidecar


def _groups(sidecars: Iterable[Sidecar]) -> Iterator[list[Sidecar]]:
    group: list[Sidecar] = []
    length = 0
    for sidecar in sidecars:
        group.append(sidecar)
        length += len(sidecar.parts) + len(sidecar.names)
        if len(group) == _GROUP or length > _LONG:
            yield group
            group, length = [], 0
    if group:
        yield group


def _insert_all(tx: sqlite3.Connection, group: list[Sidecar], logged: int) -> list[str]:
    """Each clip whole or not at all; returns what is wrong with those that the catalog refuses."""
    faults = []
    for sidecar in group:
        tx.execute("SAVEPOINT clip")
        try:
            _insert(tx, sidecar, logged)
        except REFUSED as error:
            tx.execute("ROLLBACK TO clip")
            faults.append(f"{printable(sidecar.key)}: {_refused(tx, sidecar, error)}")
        tx.execute("RELEASE clip")
    return faults


def _refused(tx: sqlite3.Connection, sidecar: Sidecar, error: Exception) -> str:
    twin = tx.execute(
        "SELECT key FROM clips WHERE recorder = ? AND sha256 = ? AND key <> ?",
        (sidecar.recorder, bytes.fromhex(sidecar.sha256), sidecar.key),
    ).fetchone()
    return f"has the content of {printable(twin[0])}, which is kept" if twin else f"is refused: {error}"


def _insert(tx: sqlite3.Connection, sidecar: Sidecar, logged: int) -> None:
    columns: dict[str, Any] = sidecar.model_dump(
        include={"recorder", "officer", "fs_id", "size", "mtime_ns", "kind", "sequence", "recorded_at",
                 "time_source", "key", "seen_at", "important", "assigned", "name_parsed", "partial"}
    )  # fmt: skip
    columns |= {"path": sidecar.raw, "sha256": bytes.fromhex(sidecar.sha256), "stored_at": time.time()}
    said = {"key": sidecar.key, "size": sidecar.size, "sha256": sidecar.sha256, "partial": sidecar.partial}
    life = _life(tx, sidecar) if logged else None
    if life is None:
        columns |= {"docking": _docking(tx, sidecar), "state": ClipState.STORED}
        clip = door.begin(tx, "rebuilt", columns, was=sidecar.clip, **(said | lives.facts(columns)))
    else:
        clip = life.clip
        _as_logged(tx, life, columns, sidecar, logged)
        door.found(tx, clip, life.state, **said)
    tx.execute(
        "INSERT OR REPLACE INTO manifests VALUES (?, ?, ?, ?, ?)",
        (clip, sidecar.part_size, bytes.fromhex("".join(sidecar.parts)),
         bytes.fromhex(sidecar.sm3 or "") or None, json.dumps(sidecar.unreadable)),
    )  # fmt: skip
    _names(tx, clip, sidecar, life)


def _life(tx: sqlite3.Connection, sidecar: Sidecar) -> Life | None:
    return restore.logged(tx, sidecar.clip, sidecar.recorder, sidecar.sha256, sidecar.path)


def _as_logged(
    tx: sqlite3.Connection, life: Life, columns: dict[str, Any], sidecar: Sidecar, logged: int
) -> None:
    """The row of a clip where its events leave it, with what its sidecar tells."""
    row = tx.execute("SELECT event FROM clips WHERE id = ?", (life.clip,)).fetchone()
    if row is None:
        known = tx.execute("SELECT id FROM dockings WHERE id = ?", (life.docking,)).fetchone()
        docking = known[0] if known else _docking(tx, sidecar, life.docking)
        restore.begin(tx, life, {**columns, "docking": docking})
    elif row[0] > logged:
        raise sqlite3.IntegrityError(f"clip {life.clip} was restored from another file")
    told = life.columns
    changes = {
        **columns,
        "important": max(columns["important"], told.get("important", 0)),
        "stored_at": told.get("stored_at", columns["stored_at"]),
        "merged_into": None,
    }
    marks = ", ".join(f"{name} = ?" for name in changes)
    tx.execute(f"UPDATE clips SET {marks} WHERE id = ?", (*changes.values(), life.clip))


def _names(tx: sqlite3.Connection, clip: int, sidecar: Sidecar, life: Life | None) -> None:
    """Of a clip that the events know it is not asked what became of its names since: nobody is accused of
    what was told before."""
    row = tx.execute("SELECT docking FROM clips WHERE id = ?", (clip,)).fetchone()
    gone = None if life is None or life.state in (ClipState.SEEN, ClipState.COPYING) else row[0]
    tx.execute("DELETE FROM names WHERE clip = ?", (clip,))
    tx.executemany(
        "INSERT INTO names (recorder, fs_id, path, size, mtime_ns, samples, clip, gone)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (name.recorder, name.fs_id, name.raw, name.size, name.mtime_ns,
             bytes.fromhex(name.samples) if name.samples else None, clip, gone)
            for name in sidecar.names
        ],
    )  # fmt: skip


def _docking(tx: sqlite3.Connection, sidecar: Sidecar, number: int | None = None) -> int:
    """The docking that brought the clip, or one like it, as far as its sidecar tells."""
    told = sidecar.docking
    row = tx.execute(
        "SELECT id FROM dockings WHERE started = ? AND slot = ? AND recorder = ?",
        (told.started, told.slot, sidecar.recorder),
    ).fetchone()
    if row is not None:
        return int(row[0])
    columns = {
        "slot": told.slot,
        "recorder": sidecar.recorder,
        "fs_id": sidecar.fs_id,
        "officer": sidecar.officer,
        "started": told.started,
        "clock_trusted": told.clock_trusted,
    }
    done = tx.execute(
        "INSERT INTO dockings (id, slot, recorder, fs_id, officer, started, clock_trusted, ended, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'rebuilt')",
        (number, *columns.values(), time.time()),
    )
    assert done.lastrowid is not None
    door.note(tx, "docking-rebuilt", None, {"docking": done.lastrowid, **columns})
    return done.lastrowid


def _not_found(tx: sqlite3.Connection, after: int, logged: int) -> list[int]:
    """Some of the clips with numbers above `after` that their events call stored, and that were not found."""
    marks = ", ".join("?" * len(HERE))
    rows = tx.execute(
        f"SELECT id, state FROM clips WHERE id > ? AND +state IN ({marks}) AND event <= ?"
        " ORDER BY id LIMIT ?",
        (after, *HERE, logged, _GROUP),
    ).fetchall()
    for clip, state in rows:
        door.not_found(tx, clip, ClipState(state))
    return [int(clip) for clip, _ in rows]
