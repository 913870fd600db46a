"""A clip as a JSON document: the sidecar in the store and the manifest at the centre.

With the documents alone a lost catalog can be rebuilt, and a clip can be checked without the station.
"""

import base64
import json
import sqlite3
from typing import Any

from agent.model import Manifest, StoredClip, printable

FORMAT = 1
_PLAIN = (
    "key", "recorder", "officer", "fs_id", "size", "mtime_ns", "kind", "sequence", "recorded_at",
    "time_source",
)  # fmt: skip
_FLAGS = ("important", "assigned", "name_parsed", "partial")


def stored_clip(db: sqlite3.Connection, clip: int) -> StoredClip:
    """A clip that ingest has described, for those who carry it on."""
    row = _clip_row(db, clip)
    manifest = manifest_of(db, clip)
    return StoredClip(clip, row["key"], manifest, _document(db, row, manifest))


def manifest_of(db: sqlite3.Connection, clip: int) -> Manifest:
    cursor = db.execute(
        "SELECT size, sha256, part_size, parts, sm3, unreadable FROM manifests JOIN clips ON id = clip"
        " WHERE clip = ?",
        (clip,),
    )
    size, sha256, part_size, parts, sm3, unreadable = cursor.fetchone()
    digests = tuple(parts[at : at + 32] for at in range(0, len(parts), 32))
    ranges = tuple((offset, length) for offset, length in json.loads(unreadable))
    return Manifest(size, part_size, digests, sha256.hex(), sm3.hex() if sm3 else "", ranges)


def path_fields(raw: bytes) -> dict[str, str]:
    """A raw path in JSON: readable text, and the bytes themselves when the text is not the whole truth."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = ""
    if text and printable(text) == text:
        return {"path": text}
    shown = printable(raw.decode("utf-8", "surrogateescape"))
    return {"path": shown, "path_base64": base64.b64encode(raw).decode("ascii")}


def path_from(fields: dict[str, Any]) -> bytes:
    """The inverse of `path_fields`."""
    if "path_base64" in fields:
        return base64.b64decode(fields["path_base64"], validate=True)
    return str(fields["path"]).encode("utf-8")


def _clip_row(db: sqlite3.Connection, clip: int) -> dict[str, Any]:
    cursor = db.execute(
        "SELECT clips.*, slot, started, clock_trusted FROM clips JOIN dockings ON dockings.id = docking"
        " WHERE clips.id = ?",
        (clip,),
    )
    names = [column[0] for column in cursor.description]
    return dict(zip(names, cursor.fetchone(), strict=True))


def _document(db: sqlite3.Connection, row: dict[str, Any], manifest: Manifest) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "clip": row["id"],
        **path_fields(row["path"]),
        **{name: row[name] for name in _PLAIN},
        **{name: bool(row[name]) for name in _FLAGS},
        "sha256": manifest.sha256,
        **({"sm3": manifest.sm3} if manifest.sm3 else {}),
        "part_size": manifest.part_size,
        "parts": [part.hex() for part in manifest.parts],
        "unreadable": [list(span) for span in manifest.unreadable],
        "names": _names(db, row["id"]),
        "docking": {
            "slot": row["slot"],
            "started": row["started"],
            "clock_trusted": bool(row["clock_trusted"]),
        },
        "seen_at": row["seen_at"],
    }


def _names(db: sqlite3.Connection, clip: int) -> list[dict[str, Any]]:
    rows = db.execute(
        "SELECT recorder, fs_id, path, size, mtime_ns, samples FROM names WHERE clip = ? ORDER BY id", (clip,)
    )
    return [
        {
            "recorder": recorder,
            "fs_id": fs_id,
            **path_fields(path),
            "size": size,
            "mtime_ns": mtime_ns,
            "samples": samples.hex() if samples else None,
        }
        for recorder, fs_id, path, size, mtime_ns, samples in rows
    ]
