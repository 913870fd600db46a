"""Which version of the agent ran under which configuration, as entries: both decide what happens to a clip.

Names of keys only, and a digest of all of it, salted: addresses and paths are nobody else's business. Whether
an export needs a second person's approval is told in plain words, and counts from its entry on.
"""

import hashlib
import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping
from typing import Any

from agent.catalog import Catalog, door, meta
from agent.config import Config

_META, _APPROVAL = "configured", "export-approval"
_MOST = 64  # keys that are named


def note(catalog: Catalog, version: str, config: Config) -> bool:
    """An entry `configured`, when anything changed since the last one. Raises CatalogError."""
    before = json.loads(meta.get(catalog.read(), _META) or "{}")
    salt = before.get("salt") or secrets.token_hex(16)
    keys = dict(_digests(config.model_dump(mode="json"), salt))
    now = {"version": version, "salt": salt, "keys": keys}
    if before == now:
        return False
    old = before.get("keys", keys)  # the first time, nothing has changed
    changed = sorted(key for key in old.keys() | keys.keys() if old.get(key) != keys.get(key))
    whole = hashlib.sha256(json.dumps(keys, sort_keys=True).encode()).hexdigest()
    facts = {"version": version, "sha256": whole, "changed": changed[:_MOST], "count": len(changed)}

    def work(tx: Any) -> None:
        meta.put(tx, _META, json.dumps(now))
        door.note(tx, "configured", None, facts)

    catalog.write(work)
    return True


def note_approval(catalog: Catalog, required: bool) -> bool:
    """An entry `export-approval`, when this is another than the last one said, also while no agent ran; and
    of a new catalog, which knows of none. Raises CatalogError."""
    if meta.get(catalog.read(), _APPROVAL) == json.dumps(required):
        return False

    def work(tx: Any) -> None:
        meta.put(tx, _APPROVAL, json.dumps(required))
        door.note(tx, "export-approval", None, {"required": required})

    catalog.write(work)
    return True


def approval_required(db: sqlite3.Connection) -> bool:
    """By the last entry, not by the file: what is not in the log yet is not in force."""
    return meta.get(db, _APPROVAL) == json.dumps(True)


def _digests(values: Mapping[str, Any], salt: str, above: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, digest of its value)"""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _digests(value, salt, f"{above}{key}.")
        else:
            told = f"{salt} {json.dumps(value, sort_keys=True)}"
            yield f"{above}{key}", hashlib.sha256(told.encode()).hexdigest()
