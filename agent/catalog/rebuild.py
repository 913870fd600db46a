"""A lost catalog, restored from the clips in the store and the sidecars beside them.

A clip comes back as `stored`, which says that its bytes were read from the disk and found equal: so
they are. What a target had confirmed is not in the sidecars and is not believed: every clip is offered
to the targets again, and they tell what they have.
"""

import contextlib
import json
import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from agent.catalog import door, home
from agent.catalog.database import Catalog
from agent.catalog.sidecar import Sidecar, Unusable, compare, read
from agent.model import ClipState, printable

_GROUP = 200  # clips that share one commit
_LONG = 50_000  # parts and names of a group: bounds its memory

Progress = Callable[[int, int], None]  # clips that were found equal, bytes read; called often
_Docking = tuple[str, str, float]


@dataclass(slots=True)
class Rebuilt:
    clips: int = 0
    faults: list[str] = field(default_factory=list)  # sentences: file and what is wrong with it
    old: Path | None = None  # where the catalog that was there is kept


def rebuild_store(store: Path, progress: Progress = lambda clips, size: None) -> Rebuilt:
    """Make the catalog of `store` anew beside the one that is there, then put it in its place. Killed
    at any line, it leaves the old catalog or the new one, whole."""
    with contextlib.closing(Catalog.open(home.begin(store))) as catalog:
        result = rebuild(catalog, store / "clips", progress)
    result.old = home.replace(store)
    return result


def rebuild(catalog: Catalog, clips: Path, progress: Progress = lambda clips, size: None) -> Rebuilt:
    """Fill an empty catalog from what lies below `clips`. What cannot be read, or is not what its
    sidecar says, is told and left out; it stays where it is."""
    result = Rebuilt()
    dockings: dict[_Docking, int] = {}
    for group in _groups(_verified(clips, result, progress)):
        faults = catalog.write(lambda tx, group=group: _insert_all(tx, group, dockings))  # type: ignore[misc]
        result.clips += len(group) - len(faults)
        result.faults += faults
    return result


def _verified(clips: Path, result: Rebuilt, progress: Progress) -> Iterator[Sidecar]:
    done = size = 0

    def advanced(more: int) -> None:
        nonlocal size
        size += more
        progress(done, size)

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


def _insert_all(tx: sqlite3.Connection, group: list[Sidecar], dockings: dict[_Docking, int]) -> list[str]:
    """Each clip whole or not at all; returns what is wrong with those that the catalog refuses."""
    faults = []
    for sidecar in group:
        key = (sidecar.docking.slot, sidecar.recorder, sidecar.docking.started)
        tx.execute("SAVEPOINT clip")
        try:
            docking = dockings.get(key) or _docking(tx, sidecar)
            _insert(tx, sidecar, docking)
        except (sqlite3.IntegrityError, sqlite3.DataError) as error:
            tx.execute("ROLLBACK TO clip")
            faults.append(f"{printable(sidecar.key)}: {_refused(tx, sidecar, error)}")
        else:
            dockings[key] = docking
        tx.execute("RELEASE clip")
    return faults


def _refused(tx: sqlite3.Connection, sidecar: Sidecar, error: sqlite3.Error) -> str:
    twin = tx.execute(
        "SELECT key FROM clips WHERE recorder = ? AND sha256 = ?",
        (sidecar.recorder, bytes.fromhex(sidecar.sha256)),
    ).fetchone()
    return f"has the content of {printable(twin[0])}, which is kept" if twin else f"is refused: {error}"


def _insert(tx: sqlite3.Connection, sidecar: Sidecar, docking: int) -> None:
    columns = sidecar.model_dump(
        include={"recorder", "officer", "fs_id", "size", "mtime_ns", "kind", "sequence", "recorded_at",
                 "time_source", "key", "seen_at", "important", "assigned", "name_parsed", "partial"}
    )  # fmt: skip
    clip = door.begin(
        tx,
        "rebuilt",
        {
            **columns,
            "state": ClipState.STORED,
            "path": sidecar.raw,
            "docking": docking,
            "sha256": bytes.fromhex(sidecar.sha256),
            "stored_at": time.time(),
        },
        was=sidecar.clip,
        sha256=sidecar.sha256,
    )
    tx.execute(
        "INSERT INTO manifests VALUES (?, ?, ?, ?, ?)",
        (clip, sidecar.part_size, bytes.fromhex("".join(sidecar.parts)),
         bytes.fromhex(sidecar.sm3 or "") or None, json.dumps(sidecar.unreadable)),
    )  # fmt: skip
    tx.executemany(
        "INSERT INTO names (recorder, fs_id, path, size, mtime_ns, samples, clip)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (name.recorder, name.fs_id, name.raw, name.size, name.mtime_ns,
             bytes.fromhex(name.samples) if name.samples else None, clip)
            for name in sidecar.names
        ],
    )  # fmt: skip


def _docking(tx: sqlite3.Connection, sidecar: Sidecar) -> int:
    """A docking like the one that brought the clip, as far as its sidecar tells."""
    done = tx.execute(
        "INSERT INTO dockings (slot, recorder, started, clock_trusted, fs_id, officer, ended, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, 'rebuilt')",
        (sidecar.docking.slot, sidecar.recorder, sidecar.docking.started, sidecar.docking.clock_trusted,
         sidecar.fs_id, sidecar.officer, time.time()),
    )  # fmt: skip
    assert done.lastrowid is not None
    return done.lastrowid
