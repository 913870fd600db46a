"""What one docking tells its slot: the sums over its volumes, its problems, and that it still moves."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.dock.board import Board
from agent.errors import DeviceGone, Stopping
from agent.model import Identity, Problem, SlotState

PASSING = ("still-recording", "store-full", "changed-since-copy")  # problems that end by themselves
SHOWN = 20  # problems on one slot; ten thousand unreadable files must not make ten thousand lines


@dataclass(slots=True)
class _Volume:
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    problems: list[Problem] = field(default_factory=list)
    more: int = 0


class Tally:
    """Of one docking, over all its volumes. Thread-safe: a copy's own threads report too."""

    def __init__(self, board: Board, slot: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._board = board
        self._slot = slot
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._volumes: dict[str, _Volume] = {}
        self._muted = False
        self._beat = monotonic()

    def start(self, node: str) -> None:
        """A volume is read, from the start."""
        with self._lock:
            self._volumes[node] = _Volume()
            self.show()

    def drop(self, node: str) -> None:
        with self._lock:
            self._volumes.pop(node, None)
            self.show()

    def add(self, node: str, **amounts: int) -> None:
        with self._lock:
            if volume := self._volumes.get(node):
                for name, amount in amounts.items():
                    setattr(volume, name, getattr(volume, name) + amount)
            self.show()

    def problem(self, node: str, problem: Problem) -> None:
        with self._lock:
            volume = self._volumes.setdefault(node, _Volume())
            if problem in volume.problems:
                return
            if len(volume.problems) < SHOWN:
                volume.problems.append(problem)
            else:
                volume.more += 1
            self.show()

    def show(self, **changes: Any) -> None:
        """Bring the slot up to date, unless the slot belongs to another docking by now."""
        with self._lock:
            self._beat = self._monotonic()
            if not self._muted:
                names = ("files_done", "files_total", "bytes_done", "bytes_total")
                sums = {name: self._sum(name) for name in names}
                self._board.update(self._slot, **{**sums, "problems": self._problems(), **changes})

    def pulled(self, node: str) -> None:
        self.problem(node, self._pulled_early())

    def end(self, early: bool) -> None:
        """The slot is empty again."""
        with self._lock:
            if not self._muted:
                problems = (self._pulled_early(),) if early else ()
                self._board.begin(self._slot, SlotState.EMPTY, problems=problems)
            self._muted = True

    def mute(self, **last: Any) -> None:
        """Show `last`, then nothing any more."""
        with self._lock:
            if last:
                self.show(**last)
            self._muted = True

    def beat(self) -> None:
        self._beat = self._monotonic()

    def idle_for(self) -> float:
        """Seconds since the last sign of progress."""
        return self._monotonic() - self._beat

    def _pulled_early(self) -> Problem:
        with self._lock:
            missing = self._sum("files_total") - self._sum("files_done")
        return Problem("pulled-early", {"files": max(0, missing)})

    def _sum(self, name: str) -> int:
        return sum(getattr(volume, name) for volume in self._volumes.values())

    def _problems(self) -> tuple[Problem, ...]:
        found = [problem for volume in self._volumes.values() for problem in volume.problems]
        more = len(found[SHOWN:]) + self._sum("more")
        return (*found[:SHOWN], Problem("more-problems", {"count": more})) if more else tuple(found)


class VolumeReporter:
    """agent.model.Reporter for one volume of a docking."""

    def __init__(
        self, tally: Tally, node: str, gone: Callable[[], bool], stopping: Callable[[], bool]
    ) -> None:
        self._tally = tally
        self._node = node
        self._gone = gone
        self._stopping = stopping
        self.worth_another_look = False

    def identified(self, identity: Identity) -> None:
        self._tally.show(recorder=identity.recorder, officer=identity.officer)

    def listed(self, files: int, size: int) -> None:
        self._tally.add(self._node, files_total=files, bytes_total=size)
        self._tally.show(state=SlotState.COLLECTING)

    def advanced(self, size: int) -> None:
        self._tally.add(self._node, bytes_done=size)

    def finished(self, files: int) -> None:
        self._tally.add(self._node, files_done=files)

    def problem(self, key: str, **params: Any) -> None:
        self.worth_another_look |= key in PASSING
        self._tally.problem(self._node, Problem(key, params))

    def pulled(self) -> None:
        self._tally.pulled(self._node)

    def check(self) -> None:
        self._tally.beat()
        if self._gone():
            raise DeviceGone
        if self._stopping():
            raise Stopping
