"""A recorder's life in random steps, with an account of its own of what may be erased. Every single removal
is judged at the moment in which it happens.
"""

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.config import EraseConfig
from agent.dock.mounts import FolderPort
from agent.ingest import empty, source
from tests.erasing import NAME, RECORDER, House

DAY = 86400.0
BEGIN = 1_790_000_000.0


class Killed(BaseException):
    """The agent ends here."""


@dataclass
class Hold:
    scope: str
    value: str


class Life:
    def __init__(self, root: Path, seed: int, patch: pytest.MonkeyPatch) -> None:
        self.random, self.now, self.trusted = random.Random(seed), BEGIN, True
        self.house = House(root, lambda: self.now if self.trusted else None)
        self.full = self.random.random() < 0.5  # else a change between the samples is found by nobody
        self.house.order.config = EraseConfig(enabled=True, full_digest=self.full)
        self.holds: dict[int, Hold] = {}
        self.spoilt: dict[bytes, float] = {}  # what the centre does not have any more, and since when
        self.recorded = 0
        self.removed = 0
        self.calm = False  # nobody does anything while an erasure goes on
        self.ends_in = -1  # removals until the recorder is pulled, or the agent killed
        self.end: Callable[[], None] = lambda: None
        self._real_unlink = os.unlink
        patch.setattr(os, "unlink", self._unlink)
        patch.setattr(FolderPort, "erase", self._meddled(FolderPort.erase))
        patch.setattr(empty, "samples_of_reader", self._compared(source.samples_of_reader))

    # between two steps of an erasure

    def _compared(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def compared(*given: Any) -> Any:
            if not self.calm and self.random.random() < 0.05:
                self.hold()
            return real(*given)

        return compared

    def _meddled(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def erase(port: FolderPort, files: Sequence[tuple[str, int, int]]) -> Any:
            if not self.calm and self.random.random() < 0.1:
                self.grow()
            return real(port, files)

        return erase

    def _unlink(self, name: str, *, dir_fd: int | None = None) -> None:
        folder = Path(f"/proc/self/fd/{dir_fd}").readlink() if dir_fd is not None else None
        if folder is None or self.house.card not in (folder, *folder.parents):
            return self._real_unlink(name, dir_fd=dir_fd)
        if self.ends_in == 0:
            self.ends_in = -1
            self.end()
        self.ends_in -= 1
        self.judge(folder / name)
        self._real_unlink(name, dir_fd=dir_fd)
        self.removed += 1
        return None

    # the judge

    def judge(self, path: Path) -> None:
        """In the moment before a file goes."""
        data, name = path.read_bytes(), str(path.relative_to(self.house.card))
        order, db = self.house.order, self.house.catalog.read()
        assert order.config.enabled and RECORDER in order.roster, name
        assert self.trusted, f"{name} goes by a clock that nobody trusts"
        rows = db.execute(
            "SELECT clips.id, partial FROM names JOIN doomed ON name = names.id JOIN clips ON clips.id = clip"
            " JOIN erasures ON erasures.id = erasure AND erasures.ended IS NULL WHERE names.path = ?",
            (os.fsencode(name),),
        ).fetchall()
        assert rows, f"{name} is on no list"
        assert not any(partial for _, partial in rows), name
        for hold in self.holds.values():
            covered = hold.scope == "recorder" or hold.value in {str(clip) for clip, _ in rows}
            assert not covered, f"{name} goes under {hold}"
        if order.config.after == "confirmed":
            assert self.at_centre(data), f"{name} goes, and the centre does not have it"
        else:
            assert self.at_centre(data) or self.here(data), f"{name} goes, and is nowhere else"

    def at_centre(self, data: bytes) -> bool:
        return data in self._below("share") or self.now - self.spoilt.get(data, -1.0) <= DAY

    def here(self, data: bytes) -> bool:
        return data in self._below("store")

    def _below(self, place: str) -> set[bytes]:
        found = (self.house.root / place / "clips").rglob("*")
        return {path.read_bytes() for path in found if path.suffix.lower() == ".mp4"}

    # what happens

    def any_file(self) -> Path | None:
        found = sorted(self.house.card.rglob("*.mp4"))
        return self.random.choice(found) if found else None

    def record(self) -> None:
        for _ in range(self.random.randint(1, 3)):
            self.recorded += 1
            self.house.put(NAME.format(self.recorded % 60, self.recorded), self.random.randrange(20_000))

    def twin(self) -> None:
        if (path := self.any_file()) is not None:
            self.house.put(str(path.relative_to(self.house.card))[:-4] + ".MP4", 3000)

    def grow(self) -> None:
        if (path := self.any_file()) is not None:
            with path.open("ab") as file:
                file.write(b"more")

    def overwrite(self) -> None:
        """Same name, size and time; where only a full digest sees it, unless that is never asked for."""
        path = self.any_file()
        if path is None or path.stat().st_size < 16_000:
            return
        data, times = bytearray(path.read_bytes()), path.stat().st_mtime_ns
        data[5000 if self.full else 0] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(times, times))

    def delete(self) -> None:
        if (path := self.any_file()) is not None:
            path.unlink()

    def hold(self) -> None:
        row = self.house.catalog.read().execute("SELECT id FROM clips ORDER BY random() LIMIT 1").fetchone()
        if row is None:
            return
        hold = self.random.choice([Hold("recorder", RECORDER), *[Hold("clip", str(row[0]))] * 3])
        self.holds[self.house.hold(hold.scope, hold.value)] = hold

    def lift(self) -> None:
        if self.holds:
            number = self.random.choice(list(self.holds))
            self.house.lift(number)
            del self.holds[number]

    def spoil(self) -> None:
        found = sorted((self.house.root / "share" / "clips").rglob("*.mp4"))
        if found:
            path = self.random.choice(found)
            self.spoilt.setdefault(path.read_bytes(), self.now)
            self._real_unlink(path)

    def send(self) -> None:
        self.house.time.mono += 3600
        self.house.send()
        for data in [data for data in self.spoilt if data in self._below("share")]:
            del self.spoilt[data]

    def dock(self) -> None:
        """To its end, pulled or killed."""
        away = self.house.root / "away"

        def pulled() -> None:
            self.house.card.rename(away)
            raise OSError(5, "Input/output error")

        def killed() -> None:
            raise Killed

        self.ends_in = self.random.choice([-1, -1, 0, 1, 2])
        self.end = self.random.choice([pulled, killed])
        try:
            self.house.visit()
        except Killed:
            self.house.restart()
        self.ends_in = -1
        if away.exists():
            away.rename(self.house.card)

    def pass_time(self) -> None:
        self.now += self.random.choice([3600, DAY, 3 * DAY])
        self.house.time.mono += DAY

    def configure(self) -> None:
        self.house.order.config = EraseConfig(
            enabled=self.random.random() < 0.8,
            after="stored" if self.random.random() < 0.3 else "confirmed",
            full_digest=self.full,
            patience=self.random.choice([0.0, 60.0]),
        )

    def at_last(self) -> None:
        """All is well again: what nothing speaks against is gone, everything else is here."""
        self.trusted, self.house.target.down, self.house.order.roster = True, False, {RECORDER}
        self.house.order.config = EraseConfig(enabled=True, full_digest=self.full, patience=60.0)
        for number in list(self.holds):
            self.house.lift(number)
        self.holds, self.calm = {}, True
        self.now += 2 * DAY  # no proof is of today any more
        for _ in range(4):
            self.house.visit()
            self.send()
        self.house.visit()
        left = {path.casefold() for path in self.house.files()}
        alike = {path for path in left if sum(path == name.casefold() for name in self.house.files()) > 1}
        assert left == alike
        assert self.house.open_lists() == 0


STEPS: tuple[tuple[int, Callable[[Life], None]], ...] = (
    (5, Life.record),
    (9, Life.dock),
    (7, Life.send),
    (3, Life.pass_time),
    (1, Life.twin),
    (1, Life.grow),
    (2, Life.overwrite),
    (1, Life.delete),
    (1, Life.hold),
    (2, Life.lift),
    (1, Life.spoil),
    (1, Life.configure),
    (1, lambda life: setattr(life, "trusted", not life.trusted)),
    (1, lambda life: setattr(life.house.target, "down", not life.house.target.down)),
    (1, lambda life: setattr(life.house.order, "roster", life.random.choice([{RECORDER}, set()]))),
    (1, lambda life: life.house.restart()),
)
