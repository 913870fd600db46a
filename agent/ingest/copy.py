"""One pass over a clip: reader → hasher → writer, part by part, resumable.

The digest of a part goes into the journal after its bytes went into the partial. Neither is synced:
whatever a crash leaves is believed only where digest and bytes still agree.
"""

import hashlib
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from agent import durable
from agent.errors import SourceChanged, SourceUnreadable
from agent.ingest.partial import DIGEST, Copy, resumable
from agent.ingest.pipeline import BUFFER, Chunk, Pipeline
from agent.ingest.room import SIDECAR, Promise, blocks, taken
from agent.ingest.source import fill
from agent.ingest.store import Store, as_store_full
from agent.model import Reporter, SourceClip, part_size_for, spans
from drivers.base import Reader

SMALL = 1 << 20  # up to here the threads cost more than they gain

Turn = Callable[[], AbstractContextManager[None]]


def to_write(store: Store, clip: int, size: int) -> int:
    """The bytes of the disk that a clip of `size` bytes still takes until it is sealed."""
    there = 0
    if size > SMALL:  # a small one starts over
        with suppress(FileNotFoundError):
            there = store.partial(clip).stat().st_blocks * 512
    return max(0, blocks(size) - there) + SIDECAR


def copy_small(
    store: Store, clip: int, source: SourceClip, reader: Reader, reporter: Reporter, promise: Promise
) -> Copy:
    """As `copy_large`, in one go: shorter than any part, never resumed."""
    copy = Copy(clip, source, part_size_for(source.size))
    store.need(source.size)
    data = memoryview(bytearray(source.size))
    fill(reader, data, 0, copy.unreadable, reporter.check)
    try:
        with durable.open_fd(store.partial_name(clip), os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
            _write(fd, data, 0)
    except OSError as error:
        raise as_store_full(error) from error
    promise.written(blocks(source.size))
    if source.size:
        copy.parts.append(hashlib.sha256(data).digest())
    reporter.advanced(source.size)
    return _checked(copy, reader)


def copy_large(
    store: Store,
    clip: int,
    source: SourceClip,
    reader: Reader,
    reporter: Reporter,
    turn: Turn,
    promise: Promise,
) -> Copy:
    """Copy `source` into its partial, going on where an earlier copy ended.

    Raises StoreFull, SourceChanged (the file is not what was listed: still being written),
    SourceUnreadable (nothing of it can be read), DeviceGone, Stopping. The partial stays."""
    copy = Copy(clip, source, part_size_for(source.size))
    try:
        with (
            durable.open_fd(store.partial(clip), os.O_RDWR | os.O_CREAT) as fd,
            durable.open_fd(store.journal(clip), os.O_RDWR | os.O_CREAT) as journal,
        ):
            # Asked before a byte is read: what cannot fit must not fill the disk up to the reserve.
            store.need(source.size - taken(fd))
            _resume(copy, fd, journal, reader, reporter, promise)
            stages = _Stages(copy, fd, journal, promise)
            with Pipeline(stages.hash, stages.write) as pipeline:
                for offset, length in spans(source.size, copy.part_size, len(copy.parts)):
                    with turn():
                        store.need(length)
                        _read_part(pipeline, copy, reader, reporter, offset, length)
    except OSError as error:
        raise as_store_full(error) from error
    return _checked(copy, reader)


def _resume(copy: Copy, fd: int, journal: int, reader: Reader, reporter: Reporter, promise: Promise) -> None:
    copy.parts = resumable(copy, fd, journal, reader, reporter)
    done = min(len(copy.parts) * copy.part_size, copy.source.size)
    # Before the room is free: nobody else is promised what this copy writes once more.
    promise.grow(taken(fd) - blocks(done))
    os.ftruncate(fd, done)
    os.ftruncate(journal, len(copy.parts) * DIGEST)
    reporter.advanced(done)


def _checked(copy: Copy, reader: Reader) -> Copy:
    source = copy.source
    if reader.stat() != (source.size, source.mtime_ns):
        raise SourceChanged(offset=source.size)
    if source.size and sum(length for _, length in copy.unreadable) == source.size:
        raise SourceUnreadable(offset=0, length=source.size)
    return copy


def _read_part(
    pipeline: Pipeline, copy: Copy, reader: Reader, reporter: Reporter, offset: int, length: int
) -> None:
    end = offset + length
    while offset < end:
        chunk = pipeline.take()
        chunk.offset, chunk.length = offset, min(BUFFER, end - offset)
        fill(reader, chunk.data, offset, copy.unreadable, reporter.check)
        offset += chunk.length
        reporter.advanced(chunk.length)
        pipeline.put(chunk)


class _Stages:
    """The hasher and the writer of one copy; each method runs in a thread of its own."""

    def __init__(self, copy: Copy, fd: int, journal: int, promise: Promise) -> None:
        self._copy, self._fd, self._journal, self._promise = copy, fd, journal, promise
        self._digest = hashlib.sha256()
        self._written = len(copy.parts)

    def hash(self, chunk: Chunk) -> None:
        self._digest.update(chunk.data)
        if self._ends_part(chunk):
            self._copy.parts.append(self._digest.digest())
            self._digest = hashlib.sha256()

    def write(self, chunk: Chunk) -> None:
        _write(self._fd, chunk.data, chunk.offset)
        self._promise.written(blocks(chunk.length))
        if not self._ends_part(chunk):
            return
        end = chunk.offset + chunk.length
        start = (end - 1) // self._copy.part_size * self._copy.part_size
        # Starts the write-back of this part now, so that the fsync at the end finds little to do, and lets
        # go of the part before, so that a clip does not fill the memory.
        before = max(0, start - self._copy.part_size)
        durable.drop_cache(self._fd, before, end - before)
        # A copy with holes is not resumed behind the first of them: the map of what is missing is not kept.
        if not self._copy.unreadable:
            os.pwrite(self._journal, self._copy.parts[self._written], self._written * DIGEST)
            self._written += 1

    def _ends_part(self, chunk: Chunk) -> bool:
        end = chunk.offset + chunk.length
        return end % self._copy.part_size == 0 or end == self._copy.source.size


def _write(fd: int, data: memoryview, offset: int) -> None:
    done = 0
    while done < len(data):
        done += os.pwrite(fd, data[done:], offset + done)
