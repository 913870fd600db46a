"""Which version of the agent ran under which configuration, as entries: both decide what happens to a clip.

Names of keys only, and a digest of all of it, salted: addresses and paths are nobody else's business.
"""

import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

from agent.catalog import Catalog, door, meta
from agent.config import Config

_META = "configured"
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


def _digests(values: Mapping[str, Any], salt: str, above: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, digest of its value)"""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from _digests(value, salt, f"{above}{key}.")
        else:
            told = f"{salt} {json.dumps(value, sort_keys=True)}"
            yield f"{above}{key}", hashlib.sha256(told.encode()).hexdigest()
