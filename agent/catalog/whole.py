"""All that the catalog knows of one clip, for a person who looks at it."""

import json
import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.catalog import findings
from agent.catalog.documents import path_fields
from agent.errors import Reject

MOST = 5_000  # events, the newest; a clip has some dozens, one that a target refuses for years has more
_CLIP = (
    "SELECT id AS clip, state, recorder, officer, kind, path, size, recorded_at, time_source, important,"
    " partial, key, lower(hex(sha256)) AS sha256, merged_into, docking, stored_at FROM clips WHERE id = ?"
)
_MANIFEST = (
    "SELECT lower(hex(sm3)) AS sm3, part_size, length(parts) / 32 AS parts, unreadable FROM manifests"
    " WHERE clip = ?"
)
_DOCKING = "SELECT id AS docking, slot, started, ended, outcome FROM dockings WHERE id = ?"
_DELIVERIES = (
    "SELECT target, state, place, receipt, problem, updated FROM deliveries WHERE clip = ? ORDER BY target"
)
#: Its own, and those that name it among others. The literal list lets SQLite use the index of the same list.
_EVENTS = (
    "SELECT seq, kind, body, at, clock_trusted AS clock FROM events WHERE clip = :clip AND clip IS NOT NULL"
    " UNION ALL SELECT seq, kind, body, at, clock_trusted FROM events INDEXED BY events_naming_clips"
    " WHERE kind IN ('exported', 'sample-drawn') AND seq > :clip"
    " AND EXISTS (SELECT 1 FROM json_each(body, '$.clips') WHERE value = :clip)"
    " ORDER BY seq DESC LIMIT :most"
)


def story(db: sqlite3.Connection, clip: int) -> dict[str, Any]:
    """`clip`, `docking`, `digests`, `deliveries`, `findings` that concern it, and `events`, in their order.
    Inside one transaction that reads. Raises Reject `no-such-clip`."""
    about = _one(db, _CLIP, clip)
    if about is None:
        raise Reject("no-such-clip", clip=clip)
    about |= path_fields(about["path"])
    about |= {flag: bool(about[flag]) for flag in ("important", "partial")}
    manifest = _one(db, _MANIFEST, clip)
    return {
        "clip": about,
        "docking": _one(db, _DOCKING, about["docking"]),
        "digests": {**manifest, "unreadable": json.loads(manifest["unreadable"])} if manifest else None,
        "deliveries": [_parsed(row, "receipt", "problem") for row in _all(db, _DELIVERIES, (clip,))],
        "findings": [one for one in findings.of_recorder(db, about["recorder"]) if _concerns(one, about)],
        "events": events(db, clip),
    }


def events(db: sqlite3.Connection, clip: int) -> list[dict[str, Any]]:
    found = [_parsed(row, "body") for row in _all(db, _EVENTS, {"clip": clip, "most": MOST})]
    return [{**row, "clock": bool(row["clock"])} for row in reversed(found)]


def _concerns(finding: Mapping[str, Any], clip: Mapping[str, Any]) -> bool:
    facts = finding["facts"]
    named = [*facts.get("clips", ()), facts.get("after") or {}, facts.get("before") or {}]
    return finding["docking"] == clip["docking"] or any(one.get("clip") == clip["clip"] for one in named)


def _parsed(row: dict[str, Any], *names: str) -> dict[str, Any]:
    return row | {name: json.loads(row[name]) for name in names if row[name] is not None}


def _one(db: sqlite3.Connection, query: str, key: int) -> dict[str, Any] | None:
    return next(iter(_all(db, query, (key,))), None)


def _all(db: sqlite3.Connection, query: str, values: Any) -> list[dict[str, Any]]:
    cursor = db.execute(query, values)
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
