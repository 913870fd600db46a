"""A lost catalog, restored from the sidecars in the store.

What a target had confirmed is not in the sidecars and is not believed: every clip comes back as
`stored`, is offered to the targets again, and they tell what they have.
"""

import json
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.catalog import door
from agent.catalog.database import Catalog
from agent.catalog.documents import FORMAT, path_from
from agent.model import ClipState

_GROUP = 200


@dataclass(slots=True)
class Rebuilt:
    clips: int = 0
    faults: list[str] = field(default_factory=list)  # sentences: file and what is wrong with it


def set_aside(path: Path) -> Path | None:
    """Move a catalog (with its log files) out of the way; return where to, None when there was none."""
    if not path.exists():
        return None
    aside = path.with_name(f"{path.name}.{time.strftime('%Y%m%dT%H%M%S')}")
    for suffix in ("-wal", "-shm", ""):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def rebuild(catalog: Catalog, clips: Path) -> Rebuilt:
    """Fill an empty catalog from the sidecars below `clips`. A clip whose file is not there, or is not
    as long as its sidecar says, is told and left out; its files stay where they are."""
    result = Rebuilt()
    found = sorted(clips.rglob("*.json"))
    for at in range(0, len(found), _GROUP):
        documents = [
            document
            for path in found[at : at + _GROUP]
            if (document := _read(path, clips, result)) is not None
        ]
        for document in documents:
            try:
                catalog.write(lambda tx, document=document: _insert(tx, document))  # type: ignore[misc]
                result.clips += 1
            except (sqlite3.IntegrityError, KeyError, ValueError, TypeError) as error:
                result.faults.append(f"{document.get('key')}.json: cannot be used: {error!r}")
    return result


def _read(path: Path, clips: Path, result: Rebuilt) -> dict[str, Any] | None:
    name = path.relative_to(clips).as_posix()
    media = path.with_suffix("")
    try:
        document = json.loads(path.read_bytes())
    except ValueError as error:
        if not media.exists():
            return None  # a clip of the recorder that happens to be a JSON file
        result.faults.append(f"{name}: is not readable: {error}")
        return None
    if not isinstance(document, dict) or "parts" not in document or document.get("format") != FORMAT:
        return None
    if document.get("key") != media.relative_to(clips).as_posix():
        result.faults.append(f"{name}: belongs to another file ({document.get('key')})")
    elif not media.exists():
        result.faults.append(f"{name}: its clip is not there")
    elif media.stat().st_size != document.get("size"):
        result.faults.append(f"{name}: its clip is {media.stat().st_size} bytes long, not {document['size']}")
    else:
        return document
    return None


def _insert(tx: sqlite3.Connection, document: dict[str, Any]) -> None:
    columns = {
        name: document[name]
        for name in ("recorder", "officer", "fs_id", "size", "mtime_ns", "kind", "sequence",
                     "recorded_at", "time_source", "key", "seen_at")
    }  # fmt: skip
    flags = {name: int(document[name]) for name in ("important", "assigned", "name_parsed", "partial")}
    clip = door.begin(
        tx,
        "rebuilt",
        {
            **columns,
            **flags,
            "state": ClipState.STORED,
            "path": path_from(document),
            "docking": _docking(tx, document),
            "sha256": bytes.fromhex(document["sha256"]),
            "stored_at": time.time(),
        },
        was=document["clip"],
        sha256=document["sha256"],
    )
    tx.execute(
        "INSERT INTO manifests VALUES (?, ?, ?, ?, ?)",
        (clip, document["part_size"], b"".join(bytes.fromhex(part) for part in document["parts"]),
         bytes.fromhex(document.get("sm3", "")) or None, json.dumps(document["unreadable"])),
    )  # fmt: skip
    for name in document["names"]:
        tx.execute(
            "INSERT INTO names (recorder, fs_id, path, size, mtime_ns, samples, clip)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (name["recorder"], name["fs_id"], path_from(name), name["size"], name["mtime_ns"],
             bytes.fromhex(name["samples"]) if name["samples"] else None, clip),
        )  # fmt: skip


def _docking(tx: sqlite3.Connection, document: dict[str, Any]) -> int:
    """The docking that brought the clip, as far as its sidecar tells."""
    key = (document["docking"]["slot"], document["recorder"], document["docking"]["started"])
    row = tx.execute(
        "SELECT id FROM dockings WHERE slot = ? AND recorder = ? AND started = ?", key
    ).fetchone()
    if row:
        return int(row[0])
    done = tx.execute(
        "INSERT INTO dockings (slot, recorder, started, fs_id, officer, ended, outcome)"
        " VALUES (?, ?, ?, ?, ?, ?, 'rebuilt')",
        (*key, document["fs_id"], document["officer"], time.time()),
    )
    assert done.lastrowid is not None
    return done.lastrowid
