"""A station that reads again what it has stored: the house of `tests.erasing`, with a scrub in one thread."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from agent.catalog import door, removals, rot, scrubs
from agent.catalog.scrubs import Figures
from agent.config import EraseConfig
from agent.config.schema import ScrubConfig
from agent.ingest.scrub import LONGEST, Scrub
from agent.ingest.scrubber import Scrubber
from agent.model import ClipState, Problem
from agent.retention.book import Book
from agent.retention.explain import explain
from agent.upload import back
from tests import erasing

FOREVER = 10 * 365 * 86400.0


class House(erasing.House):
    """No recorder is emptied before `erase_after`."""

    def __init__(self, root: Path, now: Callable[[], float | None]) -> None:
        super().__init__(root, now)
        self.order.config = EraseConfig()

    def start(self) -> None:
        super().start()
        self.settings = ScrubConfig()
        self.busy: Callable[[], bool] = lambda: False
        self.pauses, self.waits_left = 0, 1_000_000
        self.scrub = self.make(self.pause)

    def make(self, wait: Callable[[float], bool]) -> Scrub:
        return Scrub(
            self.catalog, self.store, self.ingest.room.disk, self.ingest.locks, lambda: self.settings,
            self.fetch, lambda: None, lambda: self.busy(), wait, time.time, self.time,
        )  # fmt: skip

    def thread(self) -> Scrubber:
        return Scrubber(self.make)

    def pause(self, seconds: float) -> bool:
        """Time passes; True when the agent is to end."""
        if seconds > 0:
            self.time.mono += seconds
            self.pauses += 1
            self.waits_left -= 1
        return self.waits_left <= 0

    def fetch(
        self, clip: int, put: Callable[[Iterator[bytes]], None], wait: Callable[[float], object]
    ) -> str | list[Problem]:
        db = self.catalog.read()
        place = db.execute("SELECT place FROM deliveries WHERE clip = ?", (clip,)).fetchone()[0]
        try:
            return back.fetch(db, [back.Known(self.target, place)], clip, put, wait)
        except back.NotFetched as error:
            return error.reasons

    # time

    def age(self) -> None:
        """All that is stored was stored, and read, long ago."""
        self.catalog.write(lambda tx: tx.execute("UPDATE clips SET stored_at = stored_at - ?", (FOREVER,)))
        self.catalog.write(lambda tx: tx.execute("UPDATE scrubs SET at = at - ?", (FOREVER,)))

    def later(self) -> None:
        """What could not be healed is tried again."""
        self.time.mono += LONGEST

    # looking

    def clips(self) -> list[int]:
        rows = self.catalog.read().execute("SELECT id FROM clips WHERE state <> 'merged' ORDER BY id")
        return [int(row[0]) for row in rows.fetchall()]

    def number(self, clip: int) -> int:
        """Of the recording."""
        row = self.catalog.read().execute("SELECT path FROM clips WHERE id = ?", (clip,)).fetchone()
        return int(os.fsdecode(row[0]).rpartition("_")[2].removesuffix(".mp4"))

    def state(self, clip: int) -> str:
        return str(self.catalog.read().execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])

    def states(self) -> list[str]:
        """In order of the alphabet."""
        return sorted(self.state(clip) for clip in self.clips())

    def key(self, number: int) -> str:
        rows = self.catalog.read().execute("SELECT id, key FROM clips WHERE key IS NOT NULL ORDER BY id")
        return next(str(key) for clip, key in rows.fetchall() if self.number(int(clip)) == number)

    def path(self, number: int) -> Path:
        return self.store.path(self.key(number))

    def at_centre(self, number: int) -> Path:
        return self.root / "share" / "clips" / self.key(number)

    def lose(self, number: int) -> None:
        """At the centre."""
        self.at_centre(number).unlink()

    def marks(self) -> list[rot.Mark]:
        return rot.marks(self.catalog.read())

    def waiting(self) -> int:
        return rot.waiting(self.catalog.read())

    def figures(self) -> Figures:
        return scrubs.figures(self.catalog.read(), time.time(), self.settings.every)

    def hinders(self, clip: int) -> list[str]:
        db = self.catalog.read()
        reading = explain(db, clip, Book().fresh(db), time.time(), True, ["centre"])
        return [one.key for one in reading.hinders]

    # doing

    def erase_after(self, after: str) -> None:
        self.order.config = EraseConfig.model_validate({"enabled": True, "after": after, "patience": "0 s"})

    def force_release(self, clip: int) -> None:
        self.catalog.write(lambda tx: removals.release(tx, clip, {}))

    def reopen_delivery(self, clip: int) -> None:
        """As if another target had to get it still."""
        self.catalog.write(lambda tx: door.change(tx, clip, ClipState.CONFIRMED, ClipState.STORED))


def spoil(path: Path, how: str = "flip") -> tuple[Path, bytes]:
    """Do something to a file; return it, and what was in it."""
    data = path.read_bytes()
    match how:
        case "flip":
            path.write_bytes(data[:-7] + bytes([data[-7] ^ 1]) + data[-6:])
        case "cut":
            os.truncate(path, len(data) // 2)
        case "longer":
            path.write_bytes(data + b"x")
        case "folder":
            path.unlink()
            path.mkdir()
        case "link":
            path.rename(path.with_name("elsewhere"))
            path.symlink_to(path.with_name("elsewhere"))
        case "fifo":
            path.unlink()
            os.mkfifo(path)
        case "gone":
            path.unlink()
            path.with_name(path.name + ".json").unlink()
    return path, data


def collected(house: House, *numbers: int, sent: bool = True) -> None:
    """Clips that are here and, when `sent`, at the centre; all are due to be read again."""
    house.record(*numbers)
    assert house.dock()[0]
    if sent:
        house.send()
    house.age()
