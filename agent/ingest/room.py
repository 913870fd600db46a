"""Who may fill the store: a docking is promised room before its first byte is copied.

    room = free − reserve − what is promised and not written yet

So what was begun can be finished, however many dock afterwards. Promises are in memory only: with the agent
end its dockings. What nobody can promise, since other programs and quotas take room too, `Store.need` finds.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

SIDECAR = _BLOCK = 4096  # bytes; a file takes whole blocks, its sidecar one
_REMEMBERED = 1200.0  # seconds for which a want stands: longer than until the docking's next try

#: (free, total, reserve) in bytes
Disk = Callable[[], tuple[int, int, int]]


def blocks(size: int) -> int:
    """The bytes that `size` bytes take on the disk."""
    return -(-size // _BLOCK) * _BLOCK


def taken(fd: int) -> int:
    """The bytes that an open file takes on the disk."""
    return os.fstat(fd).st_blocks * 512


class Room:
    """From any thread."""

    def __init__(self, disk: Disk, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._disk, self._monotonic = disk, monotonic
        self._lock = threading.Lock()
        self._promised = 0
        self._wants: dict[str, tuple[int, float]] = {}  # who → bytes that were refused, and when

    @property
    def promised(self) -> int:
        """Bytes that are still to be written by those who were promised them."""
        return self._promised

    def wanted(self) -> int:
        """Bytes for which dockings were refused of late."""
        with self._lock:
            since = self._monotonic() - _REMEMBERED
            self._wants = {who: want for who, want in self._wants.items() if want[1] > since}
            return sum(size for size, _ in self._wants.values())

    def disk(self) -> tuple[int, int, int]:
        """As the disk would be if all that is promised were written, and all that is wanted: free may be
        below zero."""
        free, total, reserve = self._disk()
        return free - self._promised - self.wanted(), total, reserve

    @contextmanager
    def promise(self, who: str) -> Iterator["Promise"]:
        """For one docking. `who`: names its volume, of which one docking follows the other. What was not
        written is given back at the end, however that comes."""
        self._want(who, 0)
        promise = Promise(self, who)
        try:
            yield promise
        finally:
            promise.end()

    def _take(self, needs: Sequence[int]) -> tuple[list[int], int, int]:
        """(the places of those that fit, in their order; their bytes; the bytes of the others that an empty
        disk could hold)"""
        with self._lock:
            free, total, reserve = self._disk()
            room, given, refused, chosen = free - reserve - self._promised, 0, 0, list[int]()
            for place, need in enumerate(needs):
                if given + need <= room:
                    given += need
                    chosen.append(place)
                elif need <= total - reserve:
                    refused += need
            self._promised += given
            return chosen, given, refused

    def _change(self, by: int) -> None:
        with self._lock:
            self._promised += by

    def _want(self, who: str, size: int) -> None:
        with self._lock:
            self._wants.pop(who, None)
            if size:
                self._wants[who] = size, self._monotonic()


class Promise:
    """Room for one docking. `left`: bytes that it may still write."""

    def __init__(self, room: Room, who: str) -> None:
        self._room, self._who, self._lock = room, who, threading.Lock()
        self.left = self._refused = 0

    def take(self, needs: Sequence[int]) -> list[int]:
        """Promise room for as many of `needs` as fit, the first ones first; the places of these. What does
        not fit is wanted from then on."""
        chosen, given, refused = self._room._take(needs)
        with self._lock:
            self.left += given
        self._refused += refused
        self._room._want(self._who, self._refused)
        return chosen

    def written(self, size: int) -> None:
        """These bytes are in the store: call it after the write, so that none is counted as free twice."""
        with self._lock:
            size = min(size, self.left)
            self.left -= size
            self._room._change(-size)

    def grow(self, size: int) -> None:
        """As many bytes of ours are about to be free, and are written once more: call it before they are."""
        with self._lock:
            size = max(0, size)
            self.left += size
            self._room._change(size)

    def end(self) -> None:
        self.written(self.left)
