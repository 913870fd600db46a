"""One log from its first entry to its last head: is everything there, and does all of it fit together?

The entries are read once; the tree grows beside them, and each head is compared with it on the way. So all
heads are proven to go on from each other, and memory does not grow with the log.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.custody.audit.finding import Finding, Looked
from agent.custody.log import changing, heads, leaf, tiles
from agent.custody.log.opening import OVER
from agent.custody.log.shelf import BATCH, ENTRIES, read_tile
from agent.custody.log.tiles import WIDTH
from agent.custody.verifier import Head, Invalid, Key, Note, leaf_hash

_TILE = re.compile(r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})", re.ASCII)
#: The entries of the catalog's events from number `first` on, at most `most`, with their numbers.
Events = Callable[[int, int], list[tuple[int, bytes]]]


class Walk:
    """`events` is None for a log of another catalog. When `findings` is exhausted, `last` is the last head
    that the station signed."""

    def __init__(self, folder: Path, origin: str, key: Key, events: Events | None, looked: Looked) -> None:
        self._folder, self._origin, self._key = folder, origin, key
        self._events, self._looked = events, looked
        self._edges: list[list[bytes]] = [[]]  # as in Shelf
        self._count = 0  # entries in the tree
        self._short = False  # entries are missing: no root can be compared any more
        self.last = Head(origin, 0, b"")

    def findings(self) -> Iterator[Finding]:
        limit = heads.size(self._folder)  # what comes meanwhile is for the next audit
        fits = True
        for line, note in heads.walk(self._folder, self._origin, limit):
            self._looked.heads += 1
            try:
                head = self._checked(note)
            except Invalid as error:
                yield self._found("head-false", place=heads.FILE, line=line, reason=str(error))
                continue
            yield from self._advance(head.size)
            if self._short:
                self.last = head
                continue
            if fits and self._root() != head.root:
                fits = False  # nor will any later one
                yield self._found("head-differs", place=heads.FILE, line=line, size=head.size)
            self.last = head
        yield from self._right_edge()
        yield from self._strange()

    def _checked(self, note: Note | Invalid) -> Head:
        if isinstance(note, Invalid):
            raise note
        head = Head.checked(note, [self._key], self._origin)
        if head.size <= self.last.size:
            raise Invalid(f"size {head.size} behind size {self.last.size}")
        return head

    def _advance(self, size: int) -> Iterator[Finding]:
        """Read entries until there are `size`."""
        while self._count < size and not self._short:
            n = self._count // WIDTH
            first = n * WIDTH
            data = self._bundle(n)
            whole = list(tiles.unbundle(data))
            wanted = whole[self._count - first : min(size - first, WIDTH)]
            if min(size - first, WIDTH) > len(whole):
                self._short = True
                there = first + len(whole)
                yield self._found("entries-missing", place=tiles.path(ENTRIES, n), there=there, size=size)
            if len(whole) > WIDTH or (size >= first + WIDTH and len(tiles.bundle(whole)) < len(data)):
                yield self._found("bundle-strange", place=tiles.path(ENTRIES, n))
            yield from self._compare(wanted)
            yield from self._take(wanted)
            self._looked.progress(self._looked)

    def _compare(self, entries: list[bytes]) -> Iterator[Finding]:
        """With the catalog, or at least with what an entry must be."""
        known = dict(self._events(self._count + 1, len(entries))) if self._events else {}
        for number, data in enumerate(entries, self._count + 1):
            if self._events and number not in known:
                yield self._found("event-missing", event=number)
            elif self._events and known[number] != data:
                yield self._found("event-differs", event=number)
            elif not self._events and (why := _why_none(data, number)):
                yield self._found("entry-false", event=number, reason=why)

    def _take(self, entries: list[bytes]) -> Iterator[Finding]:
        self._edges[0] += [leaf_hash(entry) for entry in entries]
        self._count += len(entries)
        self._looked.entries += len(entries)
        level = 0
        while len(self._edges[level]) == WIDTH:
            n = self._count // WIDTH ** (level + 1) - 1
            yield from self._compare_tile(level, n, self._edges[level], whole=True)
            if level + 1 == len(self._edges):
                self._edges.append([])
            self._edges[level + 1].append(tiles.tile_root(self._edges[level]))
            self._edges[level] = []
            level += 1

    def _right_edge(self) -> Iterator[Finding]:
        for level, edge in enumerate(self._edges):
            yield from self._compare_tile(level, self._count // WIDTH ** (level + 1), edge, whole=False)

    def _compare_tile(self, level: int, n: int, due: list[bytes], whole: bool) -> Iterator[Finding]:
        there = read_tile(self._folder, level, n)
        place = tiles.path(level, n)
        if len(there) < len(due):
            yield self._found("tile-short", place=place, there=len(there), due=len(due))
        for at, (one, other) in enumerate(zip(there, due, strict=False)):
            if one != other:
                yield self._found("tile-differs", place=place, hash=at)
                return  # the first place is enough
        if whole and (self._folder / place).exists() and (self._folder / place).stat().st_size > WIDTH * 32:
            yield self._found("tile-long", place=place)

    def _strange(self) -> Iterator[Finding]:
        """Files that do not belong here. What an agent has written meanwhile does: first the names of a
        folder, then how far it is. Never those of all folders: a long log has a hundred thousand files."""
        for base, folders, files in os.walk(self._folder):
            folders.sort()
            most = self._newest() + 2 * BATCH
            for path in (Path(base, name) for name in sorted((*folders, *files))):
                place = path.relative_to(self._folder).as_posix()
                if path.is_symlink() or (not path.is_dir() and not self._belongs(place, most)):
                    yield self._found("file-strange", place=place)

    def _newest(self) -> int:
        """The size of the head that is the last one by now."""
        try:
            note = Note.parse(heads.last(self._folder)[0])
            return Head.checked(note, [self._key], self._origin).size
        except Invalid:
            return self._count

    def _belongs(self, place: str, most: int) -> bool:
        if place in (heads.FILE, "key.pub", changing.FILE, OVER):
            return True
        found = _TILE.fullmatch(place)
        if found is None:
            return False
        level = 0 if found[1] == ENTRIES else int(found[1])
        n = int(re.sub("[x/]", "", found[2]))
        return tiles.path(found[1], n) == place and n * WIDTH ** (level + 1) < most

    def _root(self) -> bytes:
        def read(level: int, n: int) -> bytes:
            height, _, first, last = tiles.in_tile(level, n)
            return tiles.tile_root(self._edges[height][first:last])

        return tiles.root(self._count, read)

    def _bundle(self, n: int) -> bytes:
        try:
            return (self._folder / tiles.path(ENTRIES, n)).read_bytes()
        except FileNotFoundError:
            return b""

    def _found(self, key: str, **params: object) -> Finding:
        return Finding(key, {"log": self._folder.name, **params})


def _why_none(data: bytes, number: int) -> str:
    try:
        event = leaf.event(data)
    except ValueError as error:
        return str(error)
    return "" if event.seq == number else f"its number is {event.seq}"
