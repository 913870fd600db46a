"""The files of one log: entries, tiles, heads. Made of what is committed, readable without the database.

    <n>/tile/entries/…  bundles of 256 entries (C2SP tlog-tiles); the last one grows, under its whole name
    <n>/tile/<level>/…  hashes of the tree, 256 to a tile; the last one of each level grows
    <n>/heads           what the station signed
    <n>/key.pub         the key that it signs this log with

What a head speaks of is on the disk before the head is: entries and the tiles that are full. Tiles that
grow are never waited for: they follow from the rest. Behind the last head nothing was
promised, and nothing is lost when it goes: the catalog has it.
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from agent import durable
from agent.custody.log import heads, tiles
from agent.custody.log.tiles import HASH, WIDTH
from agent.custody.verifier import EMPTY_ROOT, Head, Invalid, Key, Note, leaf_hash
from agent.errors import Stop

ENTRIES = "entries"
BATCH = 1024  # entries that may wait for their head


class Damaged(Stop):
    """What a head speaks of is not there. Nothing is repaired then: it must be looked into."""

    key = "log-damaged"


class Shelf:
    """One owner. After an OSError it is worth nothing: open the log again."""

    def __init__(self, folder: Path, origin: str, key: Key) -> None:
        """Opens the log or begins it. `repaired` tells how many bytes behind the last head were cut off.

        Raises Damaged."""
        self.folder, self.origin, self.key = folder, origin, key
        self._full = functools.lru_cache(maxsize=8)(functools.partial(read_tile, folder))
        self.head, self.repaired = self._last_head()
        self.size = self.head.size  # entries, also those that no head speaks of yet
        self.written = 0  # bytes, since it was opened: what is written once stays and grows
        self._length = 0  # bytes of the bundle that grows
        self._due: dict[Path, None] = {}  # files and folders to be synced, in the order of their writing
        self._edges: list[list[bytes]] = [self._settle_entries()]  # hashes of the tile that grows, by level
        self._settle_tiles()

    def append(self, entries: Sequence[bytes]) -> None:
        """Writes; `seal` waits for the disk. At most BATCH between two heads."""
        if self.size + len(entries) > self.head.size + BATCH:
            raise ValueError("more entries than may wait for a head")
        while entries:
            room = WIDTH - self.size % WIDTH
            self._append(entries[:room])
            entries = entries[room:]

    def seal(self, sign: Callable[[str], Note]) -> bool:
        """Sign what is there and keep that, on the disk; False when the last head says it already."""
        if self.size == self.head.size:
            return False
        self._settle()
        head = Head(self.origin, self.size, tiles.root(self.size, self.read))
        note = sign(head.text)
        note.check([self.key])  # a false signature would spoil the log for ever
        heads.append(self.folder, note)
        self.written += len(note.data)
        self.head = head
        return True

    def weigh(self, stopping: Callable[[], bool]) -> int | None:
        """Bytes of all its files; None when it is `stopping` meanwhile. Looks at each of them: seconds, where
        there are a hundred thousand."""
        size = 0
        for at, _, names in os.walk(self.folder):  # a folder has some hundred files, at most
            if stopping():
                return None
            size += sum(Path(at, name).lstat().st_size for name in names)
        return size

    def read(self, level: int, n: int) -> bytes:
        """A hash of the tree, as `tiles` asks for it."""
        height, number, first, last = tiles.in_tile(level, n)
        grows = number == self.size // WIDTH ** (height + 1)
        return tiles.tile_root((self._edges[height] if grows else self._full(height, number))[first:last])

    def _append(self, entries: Sequence[bytes]) -> None:
        data = tiles.bundle(entries)
        self._put(ENTRIES, self.size // WIDTH, self._length, data, sync=True)
        self._grow(0, [leaf_hash(entry) for entry in entries])
        self.size += len(entries)
        self._length = self._length + len(data) if self.size % WIDTH else 0

    def _grow(self, level: int, hashes: list[bytes]) -> None:
        if level == len(self._edges):
            self._edges.append([])
        edge = self._edges[level]
        offset = len(edge) * HASH
        edge += hashes
        full = len(edge) == WIDTH
        self._put(level, self.size // WIDTH ** (level + 1), offset, b"".join(hashes), sync=full)
        if full:
            root = tiles.tile_root(edge)
            edge.clear()
            self._grow(level + 1, [root])

    def _put(self, level: int | str, n: int, offset: int, data: bytes, sync: bool) -> None:
        path = self.folder / tiles.path(level, n)
        new = not path.parent.is_dir()
        way = durable.make_folders(path.parent, self.folder)
        with durable.open_fd(path, os.O_WRONLY | os.O_CREAT | (0 if offset else os.O_TRUNC)) as fd:
            _write(fd, offset, data)
        self.written += len(data)
        if sync:
            self._due[path] = None
        if sync or new:
            self._due.update(dict.fromkeys(way if new else way[:1]))

    def _settle(self) -> None:
        """What a head will speak of is on the disk when this returns."""
        for path in self._due:
            with durable.open_fd(path, os.O_RDONLY) as fd:
                os.fsync(fd)
        self._due.clear()

    def _last_head(self) -> tuple[Head, int]:
        """And how many bytes behind it were torn."""
        data, torn = heads.last(self.folder)
        if torn and not heads.is_torn(torn, self.origin):
            raise self._damaged(heads.FILE, "what lies at its end is no head")
        try:
            note = Note.parse(data) if data else None
            head = Head.checked(note, [self.key], self.origin) if note else Head(self.origin, 0, EMPTY_ROOT)
        except Invalid as error:
            raise self._damaged(heads.FILE, str(error)) from error
        if torn:
            heads.cut(self.folder, len(torn))
        return head, len(torn)

    def _settle_entries(self) -> list[bytes]:
        """The hashes of the entries in the bundle that grows."""
        n, count = divmod(self.size, WIDTH)
        path = self.folder / tiles.path(ENTRIES, n)
        data = _bytes(path)
        entries = list(tiles.unbundle(data))[:count]
        if len(entries) < count:
            raise self._damaged(tiles.path(ENTRIES, n), f"{len(entries)} entries of {count}")
        if (self.folder / tiles.path(ENTRIES, n + BATCH // WIDTH + 1)).exists():
            raise self._damaged(
                heads.FILE, "heads are missing: more entries lie behind the last than ever wait"
            )
        self._length = len(tiles.bundle(entries))
        self.repaired += _cut(path, len(data), self._length) + self._remove_from(ENTRIES, n + 1)
        return [leaf_hash(entry) for entry in entries]

    def _settle_tiles(self) -> None:
        leaves = self._edges[0]
        self._edges = [leaves, *self._kept_edges()]
        if not self._fits():
            self._edges = [leaves]  # a power cut took what was never waited for
            for level in range(1, _levels(self.size)):
                self._edges.append(self._edge_from_below(level))
            if not self._fits():
                raise self._damaged("tile", "entries and tiles do not lead to the root that was signed")
        level = 0
        while level < len(self._edges) or (self.folder / "tile" / str(level)).is_dir():
            self._settle_level(level, self._edges[level] if level < len(self._edges) else [])
            level += 1

    def _settle_level(self, level: int, edge: list[bytes]) -> None:
        n = self.size // WIDTH ** (level + 1)
        path = self.folder / tiles.path(level, n)
        there, due = _bytes(path), b"".join(edge)
        if not there.startswith(due):
            self._put(level, n, 0, due, sync=False)
        _cut(path, max(len(there), len(due)), len(due))
        self._remove_from(level, n + 1)

    def _kept_edges(self) -> Iterator[list[bytes]]:
        for level in range(1, _levels(self.size)):
            n, count = divmod(self.size // WIDTH**level, WIDTH)
            yield read_tile(self.folder, level, n)[:count] if count else []

    def _edge_from_below(self, level: int) -> list[bytes]:
        count = self.size // WIDTH**level
        return [self._root_of(level - 1, n) for n in range(count - count % WIDTH, count)]

    def _root_of(self, level: int, n: int) -> bytes:
        hashes = read_tile(self.folder, level, n)
        if len(hashes) != WIDTH:
            raise self._damaged(tiles.path(level, n), f"{len(hashes)} hashes of {WIDTH}")
        return tiles.tile_root(hashes)

    def _fits(self) -> bool:
        counts = [self.size // WIDTH**level % WIDTH for level in range(len(self._edges))]
        if counts != [len(edge) for edge in self._edges]:
            return False
        return tiles.root(self.size, self.read) == self.head.root

    def _remove_from(self, level: int | str, n: int) -> int:
        """Whole files behind the last head; how many bytes there were. The last one goes first, so that
        none is left where nobody looks."""
        found: list[Path] = []
        while (path := self.folder / tiles.path(level, n + len(found))).exists():
            found.append(path)
        gone = sum(path.stat().st_size for path in found)
        for path in reversed(found):
            path.unlink()
        return gone

    def _damaged(self, place: str, reason: str) -> Damaged:
        return Damaged(log=self.folder.name, place=place, reason=reason)


def read_tile(folder: Path, level: int, n: int) -> list[bytes]:
    """The hashes of a tile, as many as are there."""
    data = _bytes(folder / tiles.path(level, n))[: WIDTH * HASH]
    return [data[at : at + HASH] for at in range(0, len(data) - HASH + 1, HASH)]


def read_bundle(folder: Path, n: int) -> list[bytes]:
    """The whole entries of a bundle, as many as are there."""
    return list(tiles.unbundle(_bytes(folder / tiles.path(ENTRIES, n))))


def _levels(size: int) -> int:
    """How many levels have tiles; the growing one of the highest may be all there is."""
    levels = 1
    while size := size // WIDTH:
        levels += 1
    return levels


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _cut(path: Path, length: int, keep: int) -> int:
    """Shorten a file of `length` bytes to `keep`, to none at all for 0; how many bytes that were."""
    if length > keep:
        with durable.open_fd(path, os.O_WRONLY) as fd:
            os.ftruncate(fd, keep)
            os.fsync(fd)
    if keep == 0:
        path.unlink(missing_ok=True)
    return length - keep


def _write(fd: int, offset: int, data: bytes) -> None:
    while data:
        done = os.pwrite(fd, data, offset)
        data, offset = data[done:], offset + done
