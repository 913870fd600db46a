"""The life of a store whose disk rots, in random steps, with an account of its own of where good copies are.

Whoever spoils leaves one good copy of each recording, where the station can have it from; the station must
never be the one that gives the last one up, and never call a copy whole that is not.
"""

import hashlib
import os
import random
import sqlite3
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent import durable
from agent.catalog import rot
from agent.ingest import heal
from tests.scrubbing import House, spoil

_DIES_AT = (
    (durable, "rename_noreplace"),
    (durable, "sync_folder"),
    (durable, "write_file"),
    (heal, "exchange"),
)
_HOW = ("flip", "flip", "cut", "gone", "longer", "fifo")


class Killed(BaseException):
    """The agent ends here."""


class Life:
    def __init__(self, root: Path, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.random = random.Random(seed)
        self.house = House(root, time.time)
        self.erases = self.random.choice(["", "confirmed", "stored"])
        if self.erases:
            self.house.erase_after(self.erases)
        self.recorded = self.healed = self.quarantined = 0
        self.contents: dict[int, bytes] = {}
        self.dies_in = -1  # steps of the disk until the agent is killed
        for module, name in _DIES_AT:
            patch.setattr(module, name, self._deadly(getattr(module, name)))
        patch.setattr(rot, "healed", self._judged(rot.healed))

    def _deadly(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def deadly(*given: Any) -> Any:
            if self.dies_in == 0:
                raise Killed
            self.dies_in -= self.dies_in > 0
            done = real(*given)
            if self.dies_in == 0:
                raise Killed
            return done

        return deadly

    def _judged(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def judged(tx: sqlite3.Connection, clip: int, source: str) -> bool:
            done: bool = real(tx, clip, source)
            if done:
                key, sha256 = tx.execute("SELECT key, sha256 FROM clips WHERE id = ?", (clip,)).fetchone()
                assert hashlib.sha256(self.house.store.path(key).read_bytes()).digest() == sha256
                self.healed += 1
            return done

        return judged

    # the account

    def good(self, number: int) -> set[str]:
        """Where this recording is as it was made."""
        data = self.contents[number]
        found = {"card"} if data in self.house.files().values() else set()
        try:
            places = {"store": self.house.path(number), "centre": self.house.at_centre(number)}
        except StopIteration:
            return found  # it was not collected yet
        return found | {name for name, path in places.items() if _is(path, data)}

    def nothing_is_lost(self) -> None:
        for number in self.contents:
            assert self.good(number), number

    # steps

    def record(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self.recorded += 1
            [path] = self.house.record(self.recorded, size=self.random.choice([300, 3000]))
            self.contents[self.recorded] = path.read_bytes()

    def dock(self) -> None:
        self.mortal(lambda: self.house.visit())

    def send(self) -> None:
        self.house.send()

    def scrub(self) -> None:
        self.house.age()
        self.mortal(self.house.scrub.step)
        self.quarantined += self.house.states().count("quarantined")

    def later(self) -> None:
        self.house.later()

    def restart(self) -> None:
        down = self.house.target.down
        self.house.restart()
        self.house.target.down = down

    def line(self) -> None:
        self.house.target.down = not self.house.target.down

    def spoil_here(self) -> None:
        self.spoil("store")

    def spoil_there(self) -> None:
        self.spoil("centre")

    def spoil(self, where: str) -> None:
        ripe = [
            number for number in self.contents if where in self.good(number) and self.spared(number, where)
        ]
        if ripe:
            number = self.random.choice(ripe)
            path = self.house.path(number) if where == "store" else self.house.at_centre(number)
            how = self.random.choice(_HOW)
            spoil(path, how if where == "store" else self.random.choice(["flip", "cut", "longer"]))

    def spared(self, number: int, where: str) -> bool:
        """Whether the station can have it from elsewhere still. What the centre proved today may go from a
        card on that word; so then a card counts for nothing."""
        left = self.good(number) - {where}
        return bool(left - {"card"}) or ("card" in left and not self.erases)

    def mortal(self, work: Callable[[], object]) -> None:
        self.dies_in = self.random.randint(0, 12) if self.random.random() < 0.4 else -1
        try:
            work()
        except Killed:
            self.dies_in = -1
            self.restart()
        self.dies_in = -1

    def at_last(self) -> None:
        """The centre is there, the card too: every copy becomes whole."""
        self.house.target.down = False
        self.record()  # if all others are gone, this one shows that the store is not
        for _ in range(6):
            self.house.visit()
            self.house.send()
            self.house.age()
            self.house.later()
            self.house.scrub.step()
        assert self.house.marks() == []
        for number in self.contents:
            assert "store" in self.good(number), number
        assert set(self.house.states()) == {"confirmed"}, self.house.states()


def _is(path: Path, data: bytes) -> bool:
    return path.is_file() and not path.is_symlink() and path.read_bytes() == data


STEPS: Sequence[tuple[int, Callable[[Life], None]]] = (
    (2, Life.record),
    (4, Life.dock),
    (4, Life.send),
    (6, Life.scrub),
    (3, Life.later),
    (1, Life.restart),
    (1, Life.line),
    (5, Life.spoil_here),
    (2, Life.spoil_there),
)
LENGTH = int(os.environ.get("RECORDER_STATION_STEPS", "30"))
