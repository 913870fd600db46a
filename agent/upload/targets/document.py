"""The JSON manifest that lies beside each clip at the centre: the sidecar, and what the bytes are."""

import json
from typing import Any

from agent.model import Manifest, StoredClip


def write(clip: StoredClip) -> bytes:
    text = json.dumps({**clip.document, **_essentials(clip.manifest)}, ensure_ascii=False, indent=1)
    # A lone surrogate becomes \udcXX, which is how JSON writes it.
    return text.encode("utf-8", "backslashreplace")


def describes(data: bytes | None, manifest: Manifest) -> bool:
    """Whether `data` is the manifest of these bytes; what else it tells may have changed since."""
    document = _read(data or b"")
    return all(document.get(name) == value for name, value in _essentials(manifest).items())


def is_one(data: bytes) -> bool:
    """Whether `data` is any clip's manifest, and not a clip that got this name."""
    return _essentials(Manifest(0, 1, (), "")).keys() <= _read(data).keys()


def _read(data: bytes) -> dict[str, Any]:
    try:
        document = json.loads(data)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _essentials(manifest: Manifest) -> dict[str, Any]:
    return {
        "size": manifest.size,
        "sha256": manifest.sha256,
        "part_size": manifest.part_size,
        "parts": [part.hex() for part in manifest.parts],
    }
