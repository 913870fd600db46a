"""A clip's file, read from the disk as long after it was stored as may be: is it what was stored?"""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent import durable
from agent.ingest.pipeline import BUFFER
from agent.ingest.store import GONE, LOST, OTHER
from agent.model import Manifest, spans

#: Called before so many bytes are read; may wait, and raise Stopping.
Pace = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Rot:
    """`reason`: gone, no-file (something else has its name), size, unreadable or differs. `parts`: those
    that are not as they were, where all could be looked at."""

    reason: str
    parts: tuple[int, ...] = ()


def look(path: Path, manifest: Manifest, pace: Pace, buffer: memoryview) -> Rot | None:
    """None: byte for byte what `manifest` describes. Raises OSError for what says nothing of the file."""
    try:
        fd = durable.opener(str(path), os.O_RDONLY)
    except OSError as error:
        if error.errno in GONE:
            return Rot("gone")
        if error.errno in OTHER:
            return Rot("no-file")
        return _lost(error)
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return Rot("no-file")
        if found.st_size != manifest.size:
            return Rot("size")
        durable.drop_cache(fd)
        return _compare(fd, manifest, pace, buffer)
    except OSError as error:
        return _lost(error)
    finally:
        os.close(fd)


def _lost(error: OSError) -> Rot:
    if error.errno in LOST:
        return Rot("unreadable")
    raise error


def _compare(fd: int, manifest: Manifest, pace: Pace, buffer: memoryview) -> Rot | None:
    whole, wrong, unreadable = hashlib.sha256(), list[int](), False
    for number, (offset, length) in enumerate(spans(manifest.size, manifest.part_size)):
        try:
            digest = _part(fd, offset, length, whole, pace, buffer)
        except OSError as error:
            _lost(error)
            digest, unreadable = b"", True
        if number >= len(manifest.parts) or digest != manifest.parts[number]:
            wrong.append(number)
        durable.drop_cache(fd, offset, length)
    if not wrong and whole.hexdigest() == manifest.sha256:
        return None
    return Rot("unreadable" if unreadable else "differs", tuple(wrong))


def _part(fd: int, offset: int, length: int, whole: "hashlib._Hash", pace: Pace, buffer: memoryview) -> bytes:
    part = hashlib.sha256()
    for at, size in spans(length, min(BUFFER, len(buffer))):
        pace(size)
        block = buffer[:size]
        if os.preadv(fd, [block], offset + at) != size:
            return b""  # it was cut short meanwhile
        part.update(block)
        whole.update(block)
    return part.digest()
