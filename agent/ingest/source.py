"""Reading a recorder that may be short, damaged, still writing or gone."""

import hashlib
import os
from collections.abc import Callable

from agent.errors import SourceChanged, SourceUnreadable
from drivers.base import Reader

SECTOR = 4096  # the grain in which damage is mapped
SAMPLE = 4096
_PATIENCE = 16  # failures in a row, each of which may take seconds, after which one probe stands for more
_STRIDE = 16 * SECTOR  # how much one failed probe then gives up

Ranges = list[tuple[int, int]]


def fill(reader: Reader, view: memoryview, offset: int, lost: Ranges, beat: Callable[[], None]) -> None:
    """Fill the whole of `view`; what the medium does not give becomes zeros and stands in `lost`.

    Raises SourceChanged when the file ends before that, DeviceGone when the recorder is pulled."""
    done = 0
    while done < len(view):
        beat()
        try:
            got = reader.read_at(view[done:], offset + done)
        except SourceUnreadable:
            _salvage(reader, view[done:], offset + done, lost, beat)
            return
        if got == 0:
            raise SourceChanged(offset=offset + done)
        done += got


def _salvage(reader: Reader, view: memoryview, offset: int, lost: Ranges, beat: Callable[[], None]) -> None:
    """Sector by sector through a stretch in which something is unreadable."""
    failures = at = 0
    while at < len(view):
        beat()
        length = min(SECTOR - (offset + at) % SECTOR, len(view) - at)
        if _try(reader, view[at : at + length], offset + at):
            at += length
            failures = 0
            continue
        if failures >= _PATIENCE:
            length = min(_STRIDE, len(view) - at)
        view[at : at + length] = bytes(length)
        _add(lost, offset + at, length)
        failures += 1
        at += length


def _try(reader: Reader, view: memoryview, offset: int) -> bool:
    done = 0
    while done < len(view):
        try:
            got = reader.read_at(view[done:], offset + done)
        except SourceUnreadable:
            return False
        if got == 0:
            raise SourceChanged(offset=offset + done)
        done += got
    return True


def _add(lost: Ranges, offset: int, length: int) -> None:
    if lost and sum(lost[-1]) == offset:
        lost[-1] = (lost[-1][0], lost[-1][1] + length)
    else:
        lost.append((offset, length))


def sample_places(size: int) -> list[tuple[int, int]]:
    """Head, middle and tail; the whole of a file that is not longer than these."""
    if size <= 3 * SAMPLE:
        return [(0, size)] if size else []
    return [(0, SAMPLE), (size // 2, SAMPLE), (size - SAMPLE, SAMPLE)]


def samples_of_reader(reader: Reader, size: int) -> bytes | None:
    """SHA-256 over the samples; None when one cannot be read or the file is shorter."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(3 * SAMPLE))
    try:
        for offset, length in sample_places(size):
            if not _try(reader, buffer[:length], offset):
                return None
            digest.update(buffer[:length])
    except SourceChanged:
        return None
    return digest.digest()


def samples_of_file(fd: int, size: int) -> bytes:
    digest = hashlib.sha256()
    for offset, length in sample_places(size):
        digest.update(os.pread(fd, length, offset))
    return digest.digest()


def part_of_reader(reader: Reader, offset: int, length: int, beat: Callable[[], None]) -> bytes | None:
    """SHA-256 of one part as the recorder has it now; None when it is not readable."""
    digest = hashlib.sha256()
    view = memoryview(bytearray(min(length, 512 << 10)))
    end = offset + length
    while offset < end:
        beat()
        step = min(len(view), end - offset)
        if not _try(reader, view[:step], offset):
            return None
        digest.update(view[:step])
        offset += step
    return digest.digest()
