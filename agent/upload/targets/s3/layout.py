"""How a clip lies in a bucket, and what is told with it."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

from agent.errors import NotEqual
from agent.model import StoredClip
from agent.upload.targets.base import LocalReader
from agent.upload.targets.http import Damaged, Part

CLIPS = "clips/"
JSON = {"Content-Type": "application/json"}


def metadata(clip: StoredClip) -> dict[str, str]:
    """For whoever finds the object without its manifest. ASCII: everything else is altered on some way."""
    return {
        "Content-Type": "application/octet-stream",
        "x-amz-meta-sha256": clip.manifest.sha256,
        "x-amz-meta-part-size": str(clip.manifest.part_size),
    }


@contextmanager
def of_part(clip: StoredClip, number: int, reader: LocalReader, offset: int, length: int) -> Iterator[None]:
    """While this part is sent. Damaged on its way, or on our disk before that? Only the second is for ever,
    and raises NotEqual with the part's `number`."""
    try:
        yield
    except Damaged:
        if _digest(reader, offset, length) != clip.manifest.parts[number]:
            raise NotEqual(part=number) from None
        raise
    except NotEqual as error:
        raise NotEqual(part=number, **error.params) from error


def _digest(reader: LocalReader, offset: int, length: int) -> bytes:
    hasher = hashlib.sha256()
    for piece in Part(reader, offset, length):
        hasher.update(piece)
    return hasher.digest()
