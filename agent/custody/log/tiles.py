"""The tree over the log's entries: its hash, proofs from it, and how it lies in files (C2SP tlog-tiles).

`read(level, n)` gives the hash over entries `n << level` up to `(n + 1) << level`, all of which must be
there: no function here needs more of the tree than about two hashes for each of its levels.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence

from agent.custody.verifier import EMPTY_ROOT, node_hash

HEIGHT = 8  # levels of the tree in one tile
WIDTH = 1 << HEIGHT  # hashes in a full tile, entries in a full bundle
HASH = 32  # bytes

Read = Callable[[int, int], bytes]


def path(level: int | str, n: int, width: int = WIDTH) -> str:
    """Of tile `n`, or of an entry bundle with `level` "entries": `tile/0/x001/x234/067`. One with less than
    WIDTH hashes or entries lies at the centre under another name, `….p/<width>`."""
    parts = [f"{n % 1000:03d}"]
    while n := n // 1000:
        parts.append(f"x{n % 1000:03d}")
    shown = f"tile/{level}/{'/'.join(reversed(parts))}"
    return shown if width == WIDTH else f"{shown}.p/{width}"


def root(size: int, read: Read) -> bytes:
    """Of the tree over the first `size` entries."""
    return _hash(0, size, read) if size else EMPTY_ROOT


def inclusion(index: int, size: int, read: Read) -> list[bytes]:
    """The proof that entry `index` is in the tree of `size` (RFC 6962, 2.1.1), from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"no entry {index} in a tree of {size}")
    proof, low, high = [], 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            proof.append(_hash(middle, high, read))
            high = middle
        else:
            proof.append(_hash(low, middle, read))
            low = middle
    return proof[::-1]


def consistency(old: int, new: int, read: Read) -> list[bytes]:
    """The proof that the tree of `old` is the beginning of that of `new` (RFC 6962, 2.1.2)."""
    if not 0 <= old <= new:
        raise ValueError(f"no tree of {old} in one of {new}")
    if old in (0, new):
        return []
    proof, low, high, whole = [], 0, new, True
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            proof.append(_hash(middle, high, read))
            high = middle
        else:
            proof.append(_hash(low, middle, read))
            low, whole = middle, False
    if not whole:
        proof.append(_hash(low, high, read))
    return proof[::-1]


def tile_root(hashes: Sequence[bytes]) -> bytes:
    """Of a full tile, or of any power of two of hashes."""
    row = list(hashes)
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


def in_tile(level: int, n: int) -> tuple[int, int, int, int]:
    """(level of the tile, its number, first, last + 1 of the hashes in it) that make up `read(level, n)`."""
    count = 1 << level % HEIGHT
    first = n * count
    return level // HEIGHT, first // WIDTH, first % WIDTH, first % WIDTH + count


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries as they follow each other in a bundle, each behind its length."""
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def unbundle(data: bytes) -> Iterator[bytes]:
    """The whole entries at the beginning of `data`. What is left behind them is torn."""
    at = 0
    while at + 2 <= len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if end > len(data):
            return
        yield data[at + 2 : end]
        at = end


def _split(count: int) -> int:
    """The largest power of two below `count`."""
    return 1 << (count - 1).bit_length() - 1


def _hash(low: int, high: int, read: Read) -> bytes:
    """Over entries `low` up to `high`, a node of the tree: everything left of its last part is whole."""
    count = high - low
    if count & count - 1 == 0:
        level = count.bit_length() - 1
        return read(level, low >> level)
    middle = low + _split(count)
    return node_hash(_hash(low, middle, read), _hash(middle, high, read))
