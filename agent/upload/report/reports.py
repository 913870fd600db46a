"""A thread for each target, that tells it every five minutes what this station is and did.

A share that hangs holds up its own thread, and nothing else. What fails is tried again at the next turn.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping

from agent.catalog.wanted import Names
from agent.errors import AuthFailed, Reject, StationError, Stopping, Transient
from agent.model import Problem
from agent.upload.elsewhere import Elsewhere
from agent.upload.generation import Generation
from agent.upload.report.log import highest
from agent.upload.report.sample import Locking, Sample
from agent.upload.report.turn import Author, Report
from agent.upload.targets.base import Target
from agent.upload.targets.collected import Collected
from agent.upload.targets.documents import Documents

EVERY = 300.0  # seconds
FIRST = 10.0  # seconds after the start: by then a target has said who it is
#: Seconds without a report after which that is told. A target that takes no clips either says so itself.
PATIENCE = 3600.0
_log = logging.getLogger(__name__)


class Reports:
    def __init__(self, author: Author, names: Names) -> None:
        """`names` reads what the name of a clip tells."""
        self._author, self._names = author, names
        self._tellers: list[_Teller] = []

    def follow(self, generation: Generation, targets: Mapping[str, Target], lock: Locking) -> None:
        """From now on these targets are told, and asked for what `lock` says that they must keep. Those who
        told others before end by themselves."""
        for one in self._tellers:
            one.end()
        alive = [one for one in self._tellers if one.is_alive()]
        new = [
            _Teller(self._author, self._names, generation, target, lock)
            for target in targets.values()
            if isinstance(target, Documents)
        ]
        for one in new:
            one.start()
        self._tellers = alive + new

    def highest_log(self, above: int) -> int:
        """The largest number above this one under which a target has a log of this station, or this one.
        Raises Reject where a target cannot be asked."""
        for one in list(self._tellers):
            try:
                above = one.highest_log(above)
            except Stopping:
                continue  # it is no target of ours any more
            except StationError as error:
                raise Reject(error.key, **{**error.params, "target": one.target}) from error
        return above

    def stop(self, timeout: float) -> bool:
        """For good. True when all have ended."""
        end = time.monotonic() + timeout
        for one in self._tellers:
            one.end()
        for one in self._tellers:
            one.join(max(0.0, end - time.monotonic()))
        return not any(one.is_alive() for one in self._tellers)

    def silent(self) -> dict[str, float]:
        """Targets that did not answer when they were last to be told something, and when that was, by the
        monotonic clock."""
        return {one.target: since for one in self._tellers if (since := one.silent) is not None}

    def problems(self) -> Iterator[tuple[str, Problem]]:
        """(target, what is wrong)"""
        for one in self._tellers:
            yield from ((one.target, problem) for problem in one.problems())


class _Teller(threading.Thread):
    def __init__(
        self,
        author: Author,
        names: Names,
        generation: Generation,
        target: Documents,
        lock: Locking,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(name=f"report-{target.name}", daemon=True)
        self.target, self._target, self._author = target.name, target, author
        self._report = Report(author, generation, target, self._check)
        self._sample = Sample(generation, target, self._check, lock=lock)
        self._elsewhere = (
            Elsewhere(generation, target, self._check, names) if isinstance(target, Collected) else None
        )
        self._ending = threading.Event()
        self._monotonic = monotonic
        self._heard = monotonic()
        self._problem: Problem | None = None
        self._silent: float | None = None

    @property
    def silent(self) -> float | None:
        """When the target did not answer, at the last turn; None: it did, or nothing is told it any more."""
        return None if self._ending.is_set() else self._silent

    def end(self) -> None:
        self._ending.set()

    def run(self) -> None:
        pause = FIRST
        while not self._ending.wait(pause):
            self.step()
            pause = EVERY

    def step(self) -> None:
        """One turn; never raises."""
        try:
            self._report.turn()
            self._heard, self._problem, self._silent = self._monotonic(), None, None
            self._sample.ask()
            if self._elsewhere is not None:
                self._elsewhere.look()
        except Stopping:
            return
        except StationError as error:
            _log.warning("%s is told later: %s", self.target, error)
            self._problem = Problem(error.key, error.params)
            self._silent = self._monotonic() if isinstance(error, (Transient, AuthFailed)) else None
        except Exception as error:  # noqa: BLE001 - logged and told
            _log.exception("%s: unexpected", self.target)
            self._problem = Problem("internal", {"error": type(error).__name__})

    def highest_log(self, above: int) -> int:
        return highest(self._author.id, self._target, above, self._check)

    def problems(self) -> Iterator[Problem]:
        if self._report.written_by_two():
            yield Problem("station-id-twice")
        if not self._ending.is_set() and (since := self._monotonic() - self._heard) > PATIENCE:
            why = self._problem.key if self._problem else "target-hangs"
            yield Problem("station-not-told", {"seconds": round(since), "error": why})

    def _check(self) -> None:
        if self._ending.is_set():
            raise Stopping
