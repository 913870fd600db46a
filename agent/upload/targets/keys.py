"""A clip's key, or a document's path, fit to be a name at the centre.

Ingest made it from names that a recorder chose; this is the second lock on the same door."""

from agent.errors import Rejected

MANIFEST = ".json"  # added to a clip's key: the manifest that lies beside it
_NAME_MAX = 255  # bytes, of every file system that a centre is likely to lie on


def components(key: str, suffix: str = MANIFEST) -> list[str]:
    """The folders and the name of `key`, fit to be walked; its last one still fits with `suffix` added.
    Raises Rejected `target-name`."""
    parts = key.split("/")
    for part in (*parts, parts[-1] + suffix):
        if part in ("", ".", "..") or "\0" in part or _encoded_length(part) > _NAME_MAX:
            raise Rejected("target-name", key=key)
    return parts


def _encoded_length(part: str) -> int:
    try:
        return len(part.encode())
    except UnicodeEncodeError:
        return _NAME_MAX + 1
