"""The two tables of a FAT32 card, side by side.

Removing a file frees its clusters in the one, then in the other: a plug that is pulled between the two leaves
clusters that only one of them calls free. Any other difference is damage. Layout: "Microsoft FAT32 File
System Specification", 1.03, sections 3 and 4.
"""

import errno
import os
import struct
from pathlib import Path

_BOOT = 512  # bytes
_PIECE = 1 << 20
_LARGEST = 256 << 20  # of a table: 2 TiB in clusters of 32 KiB
_VALUE = 0x0FFFFFFF  # the upper bits of an entry mean nothing
_MARKS = 2  # entries that stand for no cluster: one of them says whether the mount was ended


def only_freed(node: Path) -> bool:
    """Whether the tables differ in nothing but clusters that one of them calls free. False also where that
    cannot be told: no FAT32, other than two tables. Raises OSError."""
    with node.open("rb", buffering=0) as card:
        boot = card.read(_BOOT)
        if len(boot) < _BOOT:
            return False
        (sector,), copies = struct.unpack_from("<H", boot, 11), boot[16]
        (reserved,), (small,) = struct.unpack_from("<H", boot, 14), struct.unpack_from("<H", boot, 22)
        length = struct.unpack_from("<I", boot, 36)[0] * sector
        if copies != 2 or small or not 0 < length <= _LARGEST:
            return False
        first, skip = reserved * sector, 4 * _MARKS
        for at in range(0, length, _PIECE):
            size = min(_PIECE, length - at)
            one, other = (_read(card.fileno(), size, start + at) for start in (first, first + length))
            if one[skip:] != other[skip:] and not _freed(one[skip:], other[skip:]):
                return False
            skip = 0
    return True


def _read(fd: int, size: int, offset: int) -> bytes:
    data = os.pread(fd, size, offset)
    if len(data) != size:
        raise OSError(errno.EIO, "the card ends before its tables do")
    return data


def _freed(one: bytes, other: bytes) -> bool:
    pairs = zip(struct.iter_unpack("<I", one), struct.iter_unpack("<I", other), strict=True)
    return all((a ^ b) & _VALUE == 0 or not a & _VALUE or not b & _VALUE for (a,), (b,) in pairs)
