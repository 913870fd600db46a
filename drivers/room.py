"""How much memory listings may take.

A card may hold a hundred thousand names of 255 characters, and there may be one in every slot of a board
with 1 GiB. So each session has a share that no other can take from it, enough for 10,000 files; who needs
more borrows it from what is common to all. 32 slots: 32 * 4 + 12 = 140 MiB (measured: 160 at the worst, when
each file names another officer); some 40,000 files on a card that is alone. What is more is `too-many`.
What ingest keeps of each file comes on top, and is less.
"""

import sys
import threading

ENTRY = 288  # bytes of one entry beside its path: a SourceClip with its figures, its place in the list


class Room:
    """What is common to all sessions. Sizes in bytes. Thread-safe."""

    def __init__(self, share: int = 4 << 20, common: int = 12 << 20) -> None:
        self.share = share
        self._common = common
        self._lock = threading.Lock()

    def borrow(self, size: int) -> bool:
        with self._lock:
            if size > self._common:
                return False
            self._common -= size
            return True

    def give_back(self, size: int) -> None:
        with self._lock:
            self._common += size


ROOM = Room()


class Portion:
    """Of one listing."""

    def __init__(self, room: Room = ROOM) -> None:
        self._room = room
        self._left = room.share
        self._borrowed = 0

    def take(self, path: str) -> bool:
        """Whether there is room to remember `path`."""
        size = cost(path)
        if size <= self._left:
            self._left -= size
            return True
        if self._room.borrow(size):
            self._borrowed += size
            return True
        return False

    def give_back(self) -> None:
        """The listing is forgotten."""
        self._room.give_back(self._borrowed)
        self._left, self._borrowed = self._room.share, 0


def cost(path: str) -> int:
    return ENTRY + sys.getsizeof(path)
