"""The second look: what is on the disk, read back from it, hashed again.

The parts must be equal to what was hashed on the way in; the digest over the whole file is taken
here, from the bytes that will be kept.
"""

import hashlib
import os
from collections.abc import Callable

from agent import durable
from agent.errors import NotEqual
from agent.ingest.partial import Copy
from agent.ingest.pipeline import BUFFER, Chunk, Pipeline
from agent.ingest.source import samples_of_file
from agent.model import Manifest, spans

Beat = Callable[[], None]


class Flushed:
    """A copy that was brought to the disk, opened so that it is read from there."""

    def __init__(self, path: durable.Name) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self.size = os.fstat(self.fd).st_size
        durable.drop_cache(self.fd)
        os.posix_fadvise(self.fd, 0, min(self.size, BUFFER), os.POSIX_FADV_WILLNEED)

    def close(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def verify(copy: Copy, flushed: Flushed, sm3: bool, beat: Beat) -> tuple[Manifest, bytes]:
    """The manifest of a copy, and its samples. Raises NotEqual with the index of the part."""
    size = copy.source.size
    if flushed.size != size:
        raise NotEqual(clip=copy.clip, part=len(copy.parts))
    if len(copy.parts) <= 1:
        sha256, national = _digests_at_once(copy, flushed.fd, sm3, beat)
    else:
        sha256, national = _digests(copy, flushed.fd, sm3, beat)
    samples = samples_of_file(flushed.fd, size)
    parts, unreadable = tuple(copy.parts), tuple(copy.unreadable)
    return Manifest(size, copy.part_size, parts, sha256, national, unreadable), samples


def _digests(copy: Copy, fd: int, sm3: bool, beat: Beat) -> tuple[str, str]:
    whole = hashlib.sha256()
    national = hashlib.new("sm3") if sm3 else None
    part = _PartCheck(copy)

    def whole_file(chunk: Chunk) -> None:
        whole.update(chunk.data)

    def national_digest(chunk: Chunk) -> None:
        assert national is not None
        national.update(chunk.data)

    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)  # reads further ahead, in larger pieces
    stages = [part.check, whole_file, *([national_digest] if national else [])]
    with Pipeline(*stages) as pipeline:
        for offset, length in spans(copy.source.size, BUFFER):
            beat()
            chunk = pipeline.take()
            chunk.offset, chunk.length = offset, length
            if os.preadv(fd, [chunk.data], offset) != length:
                raise NotEqual(clip=copy.clip, part=offset // copy.part_size)
            pipeline.put(chunk)
            if (offset + length) % copy.part_size == 0:
                durable.drop_cache(fd, offset + length - copy.part_size, copy.part_size)
    return whole.hexdigest(), national.hexdigest() if national else ""


def _digests_at_once(copy: Copy, fd: int, sm3: bool, beat: Beat) -> tuple[str, str]:
    """A file of one part: its digest is the part's."""
    whole = hashlib.sha256()
    national = hashlib.new("sm3") if sm3 else None
    for offset, length in spans(copy.source.size, BUFFER):
        beat()
        data = os.pread(fd, length, offset)
        whole.update(data)
        if national:
            national.update(data)
    if copy.parts and whole.digest() != copy.parts[0]:
        raise NotEqual(clip=copy.clip, part=0)
    return whole.hexdigest(), national.hexdigest() if national else ""


class _PartCheck:
    def __init__(self, copy: Copy) -> None:
        self._copy = copy
        self._digest = hashlib.sha256()

    def check(self, chunk: Chunk) -> None:
        self._digest.update(chunk.data)
        end = chunk.offset + chunk.length
        if end % self._copy.part_size == 0 or end == self._copy.source.size:
            index = (end - 1) // self._copy.part_size
            if self._digest.digest() != self._copy.parts[index]:
                raise NotEqual(clip=self._copy.clip, part=index)
            self._digest = hashlib.sha256()
