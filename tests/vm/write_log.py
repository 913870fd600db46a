"""What a guest wrote to its disk, in order, with its flushes: a log in the format of dm-log-writes, written
by QEMU's `blklogwrites` filter below the guest, so that the image need not know of it.

Killing QEMU loses what is in the guest's memory; what a disk loses in its own cache is shown by replaying
such a log up to each flush: everything before it is on the medium for certain, nothing behind it need be.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.vm.disk import SECTOR

_MAGIC = 0x6A736677736872
_FLUSH, _DISCARD = 1, 4


@dataclass(frozen=True)
class Entry:
    number: int
    flush: bool
    at: int  # bytes; where `data` was written
    data: bytes


def options(disk: Path, log: Path) -> dict[str, str]:
    """For `Hardware.disk_options`: the disk's node with the log beside it. Flushes must reach this node to be
    logged; they end below it, as for every disk of these tests."""
    log.touch()
    return {
        "driver": "blklogwrites",
        "cache.no-flush": "off",
        "file.driver": "raw",
        "file.cache.no-flush": "on",
        "file.file.driver": "file",
        "file.file.filename": str(disk),
        "log.driver": "file",
        "log.filename": str(log),
        "log.cache.no-flush": "on",
    }


def entries(log: Path) -> Iterator[Entry]:
    with log.open("rb") as file:
        magic, _, count, size = struct.unpack("<QQQI", file.read(28))
        assert magic == _MAGIC and size == SECTOR, f"{log} is no log of writes"
        file.seek(size)
        for number in range(count):
            at, sectors, flags, _ = struct.unpack_from("<QQQQ", file.read(size))
            data = b"" if flags & _DISCARD else file.read(sectors * size)
            yield Entry(number, bool(flags & _FLUSH), at * size, data)


def replay(log: Path, disk: BinaryIO) -> Iterator[int]:
    """Writes to `disk`, which is as it was when the log began; yields at each flush how many entries came
    before it."""
    dirty = False
    for entry in entries(log):
        if entry.flush and dirty:
            disk.flush()
            yield entry.number
            dirty = False
        if entry.data:
            disk.seek(entry.at)
            disk.write(entry.data)
            dirty = True


def entries_within(log: Path, size: int) -> int:
    """How many entries the first `size` bytes of the log hold."""
    count, used = 0, SECTOR
    for entry in entries(log):
        used += SECTOR + len(entry.data)
        if used > size:
            break
        count += 1
    return count
