"""What the kernel's dm-log-writes wrote down, and the disk as it was at any point of it.

The log tells what a disk keeps when the power goes: a write stands in it where the flush stands that made it
durable, or by itself when it was forced to the medium (FUA). Its format, all little-endian, in sectors of the
logged disk: a super block, then for each entry one sector (where, how many sectors, flags, length of the
data) with, for a write, its data behind it. A mark is a text that a test puts between them.
"""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntFlag
from pathlib import Path
from random import Random

_MAGIC, _VERSION = 0x6A736677736872, 1
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")


class Flag(IntFlag):
    FLUSH = 1
    FUA = 2
    DISCARD = 4
    MARK = 8
    METADATA = 16


@dataclass(frozen=True)
class Entry:
    """`offset` and `length` in bytes of the logged disk; `at`: where its data lies in the log."""

    number: int
    flags: Flag
    offset: int
    length: int
    at: int
    mark: str = ""

    @property
    def writes(self) -> bool:
        return self.length > 0 and not self.flags & Flag.MARK


@dataclass(frozen=True)
class Boundary:
    """The disk keeps exactly the first `entries` of the log, and `marks` of them were marks."""

    entries: int
    marks: int


class BadLog(Exception):
    """It is none, or it is cut short."""


def entries(log: Path) -> list[Entry]:
    with log.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        magic, version, count, sector = _SUPER.unpack(_read(file.fileno(), _SUPER.size, 0, end))
        if (magic, version) != (_MAGIC, _VERSION):
            raise BadLog(f"{log} is no log of dm-log-writes")
        found, at = list[Entry](), sector
        for number in range(count):
            where, sectors, flags, data = _ENTRY.unpack(_read(file.fileno(), _ENTRY.size, at, end))
            flag = Flag(flags)
            text = _read(file.fileno(), data, at + _ENTRY.size, end).decode() if flag & Flag.MARK else ""
            at += sector
            found.append(Entry(number, flag, where * sector, sectors * sector, at, text))
            if not flag & Flag.DISCARD:
                at += sectors * sector
            if at > end:
                raise BadLog(f"entry {number} of {count} ends behind the log")
    return found


def boundaries(log: list[Entry]) -> list[Boundary]:
    """Where something became durable. A flush that brought nothing new leaves the disk as it was: none."""
    found, marks, fresh = list[Boundary](), 0, False

    def here(entries: int) -> None:
        nonlocal fresh
        if fresh:
            found.append(Boundary(entries, marks))
        fresh = False

    for entry in log:
        if entry.flags & Flag.MARK:
            marks += 1
            continue
        if entry.flags & Flag.FLUSH:
            here(entry.number)  # a flush makes durable what was before it, not the data it carries
        fresh = fresh or entry.writes
        if entry.flags & Flag.FUA:
            here(entry.number + 1)
    return found


class Replay:
    """The disk that was logged, going through its log. `lost` is a disk that lies: what it says of an entry
    never arrives, though a flush said so."""

    def __init__(
        self, base: Path, log: Path, disk: Path, lost: Callable[[Entry], bool] = lambda entry: False
    ) -> None:
        """`base`: the disk before the first entry; `disk`: the copy of it that goes along."""
        self.entries = entries(log)
        self._log, self._disk, self._lost = log, disk, lost
        self._done = 0
        copy(base, disk)

    def to(self, boundary: Boundary, image: Path) -> Path:
        """`image` is the disk as a power cut at `boundary` leaves it. Boundaries come in their order."""
        assert boundary.entries >= self._done, "a replay goes one way"
        self._apply(self._disk, self.entries[self._done : boundary.entries])
        self._done = boundary.entries
        return copy(self._disk, image)

    def beyond(self, boundary: Boundary, image: Path, rng: Random) -> Path:
        """As `to`, and besides any of what was on its way to the medium: a disk keeps to no order there."""
        self.to(boundary, image)
        self._apply(image, [entry for entry in self._on_its_way() if rng.random() < 0.5])
        return image

    def _on_its_way(self) -> Iterator[Entry]:
        """Up to the next flush, or what is forced to the medium before that."""
        rest = self.entries[self._done :]
        if rest and rest[0].flags & Flag.FLUSH and not rest[0].writes:
            rest = rest[1:]  # the flush that the disk is at
        for entry in rest:
            if entry.writes:
                yield entry
            if entry.flags & (Flag.FLUSH | Flag.FUA):
                return

    def _apply(self, disk: Path, some: list[Entry]) -> None:
        source, target = os.open(self._log, os.O_RDONLY), os.open(disk, os.O_WRONLY)
        try:
            for entry in some:
                if not entry.writes or self._lost(entry):
                    continue
                wiped = entry.flags & Flag.DISCARD
                data = bytes(entry.length) if wiped else os.pread(source, entry.length, entry.at)
                os.pwrite(target, data, entry.offset)
        finally:
            os.close(source)
            os.close(target)


def copy(image: Path, to: Path) -> Path:
    """Only what is not a hole."""
    to.unlink(missing_ok=True)
    with image.open("rb") as source, to.open("wb") as target:
        end = os.fstat(source.fileno()).st_size
        os.truncate(target.fileno(), end)
        at = 0
        while at < end:
            try:
                at = os.lseek(source.fileno(), at, os.SEEK_DATA)
            except OSError:  # nothing but a hole to the end
                break
            hole = os.lseek(source.fileno(), at, os.SEEK_HOLE)
            while at < hole:
                at += os.copy_file_range(source.fileno(), target.fileno(), hole - at, at, at)
    return to


def _read(fd: int, length: int, at: int, end: int) -> bytes:
    data = os.pread(fd, length, at)
    if len(data) != length:
        raise BadLog(f"the log has {end} bytes, {length} are missing at {at}")
    return data
