"""The second look: what is on the disk, read back from it, hashed again.

The parts must be equal to what was hashed on the way in; the digest over the whole file is taken
here, from the bytes that will be kept.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

from agent import durable
from agent.errors import NotEqual
from agent.ingest.partial import Copy
from agent.ingest.pipeline import BUFFER, Chunk, Pipeline
from agent.ingest.source import samples_of_file
from agent.model import Manifest, spans

Beat = Callable[[], None]
Turn = Callable[[], AbstractContextManager[None]]


def verify(copy: Copy, path: Path, sm3: bool, beat: Beat, turn: Turn) -> tuple[Manifest, bytes]:
    """The manifest of a flushed copy, and its samples. Raises NotEqual with the index of the part."""
    size = copy.source.size
    with durable.open_fd(path, os.O_RDONLY) as fd:
        if os.fstat(fd).st_size != size:
            raise NotEqual(clip=copy.clip, part=len(copy.parts))
        durable.drop_cache(fd)
        sha256, sm3_digest = _digests(copy, fd, sm3, beat, turn)
        samples = samples_of_file(fd, size)
        durable.drop_cache(fd)
    manifest = Manifest(size, copy.part_size, tuple(copy.parts), sha256, sm3_digest, tuple(copy.unreadable))
    return manifest, samples


def _digests(copy: Copy, fd: int, sm3: bool, beat: Beat, turn: Turn) -> tuple[str, str]:
    if len(copy.parts) <= 1:
        return _digests_at_once(copy, fd, sm3, beat)
    whole = hashlib.sha256()
    national = hashlib.new("sm3") if sm3 else None
    part = _PartCheck(copy)

    def whole_file(chunk: Chunk) -> None:
        whole.update(chunk.data)

    def national_digest(chunk: Chunk) -> None:
        assert national is not None
        national.update(chunk.data)

    stages = [part.check, whole_file, *([national_digest] if national else [])]
    with Pipeline(*stages) as pipeline:
        for offset, length in spans(copy.source.size, copy.part_size):
            with turn():
                _read(pipeline, fd, offset, length, beat)
    return whole.hexdigest(), national.hexdigest() if national else ""


def _digests_at_once(copy: Copy, fd: int, sm3: bool, beat: Beat) -> tuple[str, str]:
    """A file of one part: its digest is the part's."""
    whole = hashlib.sha256()
    national = hashlib.new("sm3") if sm3 else None
    for offset, length in spans(copy.source.size, 1 << 20):
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


def _read(pipeline: Pipeline, fd: int, offset: int, length: int, beat: Beat) -> None:
    end = offset + length
    while offset < end:
        beat()
        chunk = pipeline.take()
        chunk.offset, chunk.length = offset, min(BUFFER, end - offset)
        if os.preadv(fd, [chunk.data], offset) != chunk.length:
            raise NotEqual(part=-1, offset=offset)
        offset += chunk.length
        pipeline.put(chunk)
