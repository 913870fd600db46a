"""What one docking tells its slot: the sums over its volumes, its problems, and that it still moves."""

import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from agent.dock.board import Board
from agent.errors import DeviceGone, Stopping
from agent.model import Condition, Doing, Identity, Problem, SlotState

PASSING = ("still-recording", "store-full", "changed-since-copy")  # problems that end by themselves
_LOOK = 0.5  # seconds between two looks whether all parts of a recorder have come
SHOWN = 20  # problems on one slot; ten thousand unreadable files must not make ten thousand lines


@dataclass(slots=True)
class _Volume:
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    problems: list[Problem] = field(default_factory=list)
    more: int = 0
    counted: bool = False  # `files_total` is known
    clips: tuple[int, ...] = ()
    erased: int = 0
    bare: bool = False  # no file is on it


class Tally:
    """Of one docking, over all its volumes. Thread-safe: a copy's own threads report too."""

    def __init__(
        self,
        board: Board,
        slot: str,
        monotonic: Callable[[], float] = time.monotonic,
        all_there: Callable[[frozenset[str]], bool] = lambda nodes: True,
    ) -> None:
        """`all_there`: whether these volumes are the whole recorder. Asked under a lock: it takes none."""
        self._board = board
        self._all_there = all_there
        self._slot = slot
        self._monotonic = monotonic
        self._lock = threading.RLock()
        self._volumes: dict[str, _Volume] = {}
        self._seen: set[str] = set()  # volumes of which every file is committed as seen
        self._received = False
        self._looked = float("-inf")
        self._clips: tuple[int, ...] = ()  # of all volumes
        self._muted = False
        self._beat = monotonic()

    def start(self, node: str) -> None:
        """A volume is read, from the start."""
        with self._lock:
            self._volumes[node] = _Volume()
            self._gather()

    def drop(self, node: str) -> None:
        with self._lock:
            self._volumes.pop(node, None)
            self._seen.discard(node)
            self._gather()

    def moved(self, node: str) -> None:
        """A volume came, went, is another one now, is refused, or cannot be listed whole any more: what was
        said of the recorder is taken back."""
        with self._lock:
            self._seen.discard(node)
            self._received = False
            self.show()

    def seen(self, node: str, clips: Collection[int], every: bool) -> None:
        with self._lock:
            if volume := self._volumes.get(node):
                volume.clips, volume.bare = tuple(sorted(clips)), every and not clips
                if every:
                    self._seen.add(node)
                    self._looked = float("-inf")
                else:
                    self.moved(node)
                self._gather()

    def erased(self, node: str, files: int, all: bool) -> None:
        with self._lock:
            if volume := self._volumes.get(node):
                volume.erased, volume.bare = volume.erased + files, all
            self.show()

    def _gather(self) -> None:
        self._clips = tuple(clip for volume in self._volumes.values() for clip in volume.clips)
        self.show()

    def count(self, node: str, files: int, size: int) -> None:
        with self._lock:
            if volume := self._volumes.get(node):
                volume.counted = True
        self.add(node, files_total=files, bytes_total=size)

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
                told = {
                    "problems": self._problems(),
                    "received": self._is_received(at_once="state" in changes),
                    "clips": self._clips,
                    "erased": self._sum("erased"),
                    "emptied": self._sum("erased") > 0 and all(one.bare for one in self._volumes.values()),
                }
                self._board.update(self._slot, **{**sums, **told, **changes})

    def pulled(self, node: str) -> None:
        self.problem(node, self._pulled_early())

    def end(self, early: bool) -> None:
        """The slot is empty again."""
        with self._lock:
            if not self._muted:
                if early:
                    self._board.pulled(self._slot, self._missing(), problems=(self._pulled_early(),))
                else:
                    self._board.begin(self._slot)
            self._muted = True

    def mute(self, **last: Any) -> None:
        """Show `last`, then nothing any more."""
        with self._lock:
            if last:
                self.show(**last)
            self._muted = True

    def beat(self) -> None:
        self._beat = self._monotonic()
        if self._seen and not self._received and self._beat - self._looked >= _LOOK:
            self.show()

    def idle_for(self) -> float:
        """Seconds since the last sign of progress."""
        return self._monotonic() - self._beat

    def _is_received(self, at_once: bool) -> bool:
        """Once it is, it stays so until something is moved, or cannot be listed any more. `at_once`: however
        lately this was looked at."""
        if not self._received and self._seen and (at_once or self._monotonic() - self._looked >= _LOOK):
            self._looked = self._monotonic()
            self._received = self._all_there(frozenset(self._seen))
        return self._received

    def _missing(self) -> int | None:
        """Files that were not collected; None: not all that is there was counted."""
        with self._lock:
            if not self._volumes or not all(volume.counted for volume in self._volumes.values()):
                return None
            return max(0, self._sum("files_total") - self._sum("files_done"))

    def _pulled_early(self) -> Problem:
        missing = self._missing()
        unknown = {} if missing is not None else {"kind": "unknown"}
        return Problem("pulled-early", {"files": missing or 0, **unknown})

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
        self._tally.count(self._node, files, size)
        self._tally.show(state=SlotState.COLLECTING, doing=Doing.COPYING)

    def docked(self, docking: int) -> None:
        self._tally.show(docking=docking)

    def seen(self, clips: Collection[int], every: bool) -> None:
        self._tally.seen(self._node, clips, every)

    def doing(self, what: Doing) -> None:
        self._tally.show(doing=what)

    def refused(self) -> None:
        """It may as well go elsewhere: it is not received any more, if it was."""
        self._tally.moved(self._node)

    def erased(self, files: int, all: bool) -> None:
        self._tally.erased(self._node, files, all)

    def condition(self, condition: Condition) -> None:
        self._tally.show(condition=condition)

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
