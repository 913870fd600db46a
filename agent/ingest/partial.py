"""A copy on its way, and how much of what an earlier one left can be believed."""

import hashlib
import os
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from agent.errors import NotEqual
from agent.ingest.pipeline import BUFFER
from agent.ingest.source import Ranges, part_of_reader
from agent.model import Reporter, SourceClip, spans
from drivers.base import Reader

DIGEST = 32
_MORE_CHECKS = 2  # parts read again from the recorder, beside the first and the last

Beat = Callable[[], None]


@dataclass(slots=True)
class Copy:
    """What was written, still to be proved from the disk."""

    clip: int
    source: SourceClip
    part_size: int
    parts: list[bytes] = field(default_factory=list)
    unreadable: Ranges = field(default_factory=list)


def resumable(copy: Copy, fd: int, journal: int, reader: Reader, reporter: Reporter) -> list[bytes]:
    """The digests of the parts at the head of the partial that are whole, unharmed and still equal to
    what the recorder shows (first, last and two more); empty to start over."""
    size = os.fstat(fd).st_size
    kept = os.pread(journal, os.fstat(journal).st_size, 0)
    digests = [kept[at : at + DIGEST] for at in range(0, len(kept) // DIGEST * DIGEST, DIGEST)]
    possible = islice(spans(copy.source.size, copy.part_size), len(digests))
    whole = [span for span in possible if sum(span) <= size]
    good = 0
    try:
        for _ in hash_parts(fd, whole, digests, reporter.check):
            good += 1
    except NotEqual:
        pass  # cut here: the parts before this one are good
    for index in _to_check(good):
        if part_of_reader(reader, *whole[index], reporter.check) != digests[index]:
            return []
    return digests[:good]


def _to_check(good: int) -> list[int]:
    if good <= 2 + _MORE_CHECKS:
        return list(range(good))
    return [0, good - 1, *random.sample(range(1, good - 1), _MORE_CHECKS)]


def hash_parts(
    fd: int, whole: Sequence[tuple[int, int]], digests: Sequence[bytes], beat: Beat
) -> Iterator[int]:
    """Read parts back and yield the index of each that is equal; raises NotEqual at the first that is not."""
    view = memoryview(bytearray(BUFFER))
    for index, (offset, length) in enumerate(whole):
        digest = hashlib.sha256()
        for at in range(offset, offset + length, BUFFER):
            beat()
            step = view[: min(BUFFER, offset + length - at)]
            if os.preadv(fd, [step], at) != len(step):
                raise NotEqual(part=index)
            digest.update(step)
        if digest.digest() != digests[index]:
            raise NotEqual(part=index)
        yield index
