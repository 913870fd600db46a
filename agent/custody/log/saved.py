"""The log of a station whose catalog is lost: the entries of it that a signed head speaks of.

<n>/heads is a file on the disk where the log was kept. A copy from the centre has a folder in its place, with
a file for each head, as they left the station. Such a copy may lack what was signed last: its entries are
good, and it is over.
"""

from collections.abc import Iterator
from pathlib import Path

from agent.catalog.events import Event
from agent.custody.log import heads, leaf, opening, signer
from agent.custody.log.shelf import Damaged, Shelf, read_bundle
from agent.custody.log.tiles import WIDTH
from agent.custody.verifier import EMPTY_ROOT, Invalid, leaf_hash, node_hash


class Unfit(Exception):
    """A sentence: why log `number` is not to be believed."""

    def __init__(self, number: int, reason: str) -> None:
        super().__init__(reason)
        self.number, self.reason = number, reason


class Saved:
    """`over`: it is not to be gone on with. `key_lost`: the station cannot sign it any more."""

    def __init__(self, shelf: Shelf, *, over: bool, key_lost: bool) -> None:
        self.folder, self.head = shelf.folder, shelf.head
        self.number = int(shelf.folder.name)
        self.over, self.key_lost = over, key_lost

    def events(self) -> Iterator[Event]:
        """As the entries tell them, up to the head. Raises Unfit, at their end at the latest when they are
        not what was signed."""
        tree, count = _Tree(), 0
        while count < self.head.size:
            entries = self._bundle(count // WIDTH)[: self.head.size - count]
            if len(entries) < min(WIDTH, self.head.size - count):
                raise Unfit(self.number, f"entry {count + len(entries)} is not there")
            for entry in entries:
                tree.add(leaf_hash(entry))
                count += 1
                yield self._event(count, entry)
        if tree.root() != self.head.root:
            raise Unfit(self.number, "its entries are not those that were signed")

    def _bundle(self, n: int) -> list[bytes]:
        try:
            return read_bundle(self.folder, n)
        except OSError as error:
            raise Unfit(self.number, str(error)) from error

    def _event(self, number: int, entry: bytes) -> Event:
        try:
            event = leaf.event(entry)
        except ValueError as error:
            raise Unfit(self.number, f"entry {number - 1}: {error}") from error
        if event.seq != number:
            raise Unfit(self.number, f"entry {number - 1} is event {event.seq}")
        return event


def find(folder: Path, station: str) -> Saved | None:
    """The newest log below `folder` that has a head; None when there is none. `station`: the station's id.
    What a power cut left at its end is cut off, as by an agent that starts; the heads of a copy become one
    file.

    Raises Unfit, Stop `log-key-open`, OSError for the key."""
    kept = opening.numbers(folder) if folder.is_dir() else []
    ours = signer.load(folder, f"station/{station}") if kept else None
    for number in reversed(kept):
        log = folder / str(number)
        try:
            key = signer.published(log / "key.pub")
            lost = ours is None or ours.key.public != key.public
            if lost and key.name != f"station/{station}":
                raise Unfit(number, f"it is the log of {key.name}")
            _settle(log)
            shelf = Shelf(log, f"{key.name}/{number}", key)
        except Damaged as error:
            raise Unfit(number, "{place}: {reason}".format(**error.params)) from error
        except (OSError, Invalid) as error:
            raise Unfit(number, str(error)) from error
        if shelf.size:
            return Saved(shelf, over=opening.is_over(log) or number != kept[-1], key_lost=lost)
    return None


def _settle(log: Path) -> None:
    """First the mark: without the folder nobody knows any more whence it came."""
    if (log / heads.FILE).is_dir():
        opening.end(log)
    heads.gather(log)


class _Tree:
    """The root over leaves that are told one by one (RFC 6962)."""

    def __init__(self) -> None:
        self._peaks: list[tuple[int, bytes]] = []  # (leaves, hash) of whole trees, from the left

    def add(self, leaf: bytes) -> None:
        count = 1
        while self._peaks and self._peaks[-1][0] == count:
            leaf = node_hash(self._peaks.pop()[1], leaf)
            count *= 2
        self._peaks.append((count, leaf))

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        *others, (_, root) = self._peaks
        for _, left in reversed(others):
            root = node_hash(left, root)
        return root
