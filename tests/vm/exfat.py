"""Writes files into a fresh exFAT file system in an image, as a recorder's firmware does: no mount, no kernel
driver, no privilege. `mkfs.exfat` makes the file system, `fsck.exfat` judges the result.
"""

import struct
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

_END = 0xFFFFFFFF
_ENTRY = 32
_DIRECTORY, _ARCHIVE, _READ_ONLY = 0x10, 0x20, 0x01
_CHAINED, _CONTIGUOUS = 0x01, 0x03  # flags of a stream: whether the FAT is to be asked


class ExFat:
    """An image that nobody else has open, with nothing in it yet but what mkfs made."""

    def __init__(self, image: Path) -> None:
        self._file = image.open("r+b")
        boot = self._read(0, 512)
        assert boot[3:11] == b"EXFAT   ", f"{image} is no exFAT"
        fat, _, heap, self._count, self._root = struct.unpack_from("<5I", boot, 80)
        sector = 1 << boot[108]
        self._fat, self._heap, self.cluster = fat * sector, heap * sector, sector << boot[109]
        entries = self._read(self._at(self._root), self.cluster)
        found = next(entries[at:] for at in range(0, len(entries), _ENTRY) if entries[at] == 0x81)
        self._bitmap, length = struct.unpack_from("<IQ", found, 20)
        self._used = bytearray(self._read(self._at(self._bitmap), length))
        self._next = 2  # the lowest cluster that may be free

    def add(self, folder: Path) -> None:
        """Everything in `folder`, whole, into the root."""
        entries = self._read(self._at(self._root), self.cluster)
        free = next(at for at in range(0, len(entries), _ENTRY) if entries[at] == 0)
        added = b"".join(self._made(path) for path in _sorted(folder))
        assert free + len(added) < self.cluster, "too many entries for the root's one cluster"
        self._write(self._at(self._root) + free, added)

    def close(self) -> None:
        self._write(self._at(self._bitmap), bytes(self._used))
        self._file.close()

    def _made(self, path: Path) -> bytes:
        """The entries of a file or folder whose content has been written."""
        if path.is_dir():
            content = b"".join(self._made(inner) for inner in _sorted(path))
            first, clusters = self._allocate(max(len(content) + _ENTRY, 1))
            whole = content.ljust(clusters * self.cluster, b"\0")
            self._write(self._at(first), whole)
            self._chain(first, clusters)
            return _entries(path, _DIRECTORY, _CHAINED, first, len(whole))
        size = path.stat().st_size
        attributes = _ARCHIVE | (0 if path.stat().st_mode & 0o200 else _READ_ONLY)
        if size == 0:
            return _entries(path, attributes, _CHAINED, 0, 0)
        first, _ = self._allocate(size)
        with path.open("rb") as source:
            at = self._at(first)
            while block := source.read(1 << 20):
                self._write(at, block)
                at += len(block)
        return _entries(path, attributes, _CONTIGUOUS, first, size)

    def _allocate(self, size: int) -> tuple[int, int]:
        """The first of so many clusters in a row as `size` bytes need, and their number."""
        clusters = -(-size // self.cluster)
        first: int = next(start for start in range(self._next, self._count + 2) if not self._taken(start))
        assert first + clusters <= self._count + 2, "the card is full"
        for number in range(first, first + clusters):
            assert not self._taken(number)
            self._used[(number - 2) // 8] |= 1 << (number - 2) % 8
        self._next = first + clusters
        return first, clusters

    def _taken(self, number: int) -> bool:
        return bool(self._used[(number - 2) // 8] >> (number - 2) % 8 & 1)

    def _chain(self, first: int, clusters: int) -> None:
        links = [*range(first + 1, first + clusters), _END]
        self._write(self._fat + 4 * first, struct.pack(f"<{clusters}I", *links))

    def _at(self, cluster: int) -> int:
        at: int = self._heap + (cluster - 2) * self.cluster
        return at

    def _read(self, at: int, size: int) -> bytes:
        self._file.seek(at)
        return self._file.read(size)

    def _write(self, at: int, content: bytes) -> None:
        self._file.seek(at)
        self._file.write(content)


def _sorted(folder: Path) -> Iterator[Path]:
    yield from sorted(path for path in folder.iterdir() if not path.name.startswith(".recorder"))


def _entries(path: Path, attributes: int, flags: int, first: int, size: int) -> bytes:
    name = path.name.encode("utf-16-le")
    parts = [name[at : at + 30].ljust(30, b"\0") for at in range(0, len(name), 30)]
    time = _time(path.stat().st_mtime)
    file = struct.pack("<BBHHHIIIBBBBB7x", 0x85, 1 + len(parts), 0, attributes, 0, time, time, time, *[0] * 5)
    upper = path.name.upper().encode("utf-16-le")
    stream = struct.pack("<BBxBHxxQxxxxIQ", 0xC0, flags, len(name) // 2, _sum(upper), size, first, size)
    whole = bytearray(file + stream + b"".join(b"\xc1\0" + part for part in parts))
    struct.pack_into("<H", whole, 2, _sum(whole[:2] + whole[4:]))
    return bytes(whole)


def _sum(data: bytes | bytearray) -> int:
    total = 0
    for byte in data:
        total = ((total << 15 | total >> 1) + byte) & 0xFFFF
    return total


def _time(stamp: float) -> int:
    """Local time of a recorder that has no time zone, in steps of 2 s."""
    at = datetime.fromtimestamp(stamp, UTC)
    date: int = (at.year - 1980) << 9 | at.month << 5 | at.day
    return date << 16 | at.hour << 11 | at.minute << 5 | at.second // 2
