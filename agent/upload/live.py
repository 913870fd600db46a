"""The uploads under a configuration that changes while they run."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from agent.catalog import Catalog, deliveries, places, priority, reconfirm
from agent.config import Config
from agent.errors import Reject, StationError
from agent.model import Problem
from agent.upload.build import build
from agent.upload.limits import Limits
from agent.upload.report.reports import Reports
from agent.upload.scheduler import Locker, Uploads

log = logging.getLogger(__name__)

#: Seconds that uploads under the former configuration may take to leave their clip. Who takes longer hangs:
#: it is left behind with nothing to say, and what it had half-sent is sent anew.
_STOP = 10.0


class Fare(NamedTuple):
    up: bool  # it takes clips now, as far as is known
    took: float | None  # seconds until it said last who it is; None: it did not yet
    since: float | None  # seconds since that


class LiveUploads:
    """`store_path` gives the file of a key; of an empty key, the folder of all."""

    def __init__(
        self,
        catalog: Catalog,
        store_path: Callable[[str], Path],
        lock: Locker,
        reports: Reports | None = None,
    ) -> None:
        """`lock`: for how long the centre must keep a clip; `reports`: who tells the targets of this station;
        None when nobody does."""
        self._catalog = catalog
        self._reports = reports
        self._store_path, self._locker = store_path, lock
        self._lock = threading.Lock()  # held while one generation gives way to the next
        self._limits = Limits()
        self._stopping = threading.Event()
        self._uploads: Uploads | None = None
        self._left_behind: list[Uploads] = []
        self._applied: object = None
        self._failure: dict[str, Problem] = {}  # why the last configuration could not be applied

    def apply(self, config: Config) -> None:
        """Start, or start anew when targets or the number of uploaders are others than before. New limits
        hold for the next bytes of the uploads that are under way.

        Raises StationError or OSError; then nothing uploads, `failing` says so, and the next call with
        the same configuration tries again."""
        upload = config.upload
        self._limits.set(upload)
        self.notify()
        wanted = (config.targets, (upload.uploaders, upload.reconfirm, upload.read_back_percent))
        with self._lock:
            if self._stopping.is_set() or wanted == self._applied:
                return
            try:
                self._replace(config)
            except StationError as error:
                self._fails(config, Problem(error.key, error.params))
                raise
            except OSError as error:
                self._fails(config, Problem("internal", {"error": str(error)}))
                raise
            self._failure = {}
            self._applied = wanted

    def notify(self) -> None:
        if (uploads := self._uploads) is not None:
            uploads.notify()

    def accept(self, target: str, place: str, who: str) -> None:
        """`place` may be behind the name of `target` from now on. Raises Reject `no-such-target`."""
        uploads = self._uploads
        if uploads is None or target not in uploads.facts():
            raise Reject("no-such-target", target=target)
        self._catalog.write(lambda tx: places.accept(tx, target, place, who))
        uploads.again(target)

    def highest_log(self, above: int) -> int:
        """The largest number above this one under which a target has a log of this station, or this one.
        Raises Reject where a target cannot be asked."""
        return self._reports.highest_log(above) if self._reports else above

    def first(self, clip: int, who: str) -> None:
        """Send it now. Raises Reject."""
        self._catalog.write(lambda tx: priority.first(tx, clip, who))
        if (uploads := self._uploads) is not None:
            uploads.hurry(clip)

    def first_of_slot(self, slot: str, who: str) -> tuple[str, int]:
        """The number of the recorder whose clips go first now, and how many wait. Raises Reject."""
        found = self._catalog.write(lambda tx: priority.first_of_slot(tx, slot, who))
        self.notify()
        return found

    def retry(self, clip: int | None, who: str) -> int:
        """Try rejected clips again, or this one; return how many. Raises Reject."""
        if (uploads := self._uploads) is not None:
            return uploads.retry(clip, who)
        # Nobody was asked who it is: the next uploads settle what their targets are found to have.
        return self._catalog.write(lambda tx: deliveries.retry_asked(tx, clip, who, {}))

    def stop(self, timeout: float) -> bool:
        """For good, whatever `apply` does at the same time. True when all uploaders have ended."""
        end = time.monotonic() + timeout
        self._stopping.set()
        if not self._lock.acquire(timeout=timeout):
            return False
        try:
            late = [one for one in self._all() if not one.stop(max(0.0, end - time.monotonic()))]
            told = self._reports is None or self._reports.stop(max(0.0, end - time.monotonic()))
            return told and not late
        finally:
            self._lock.release()

    def failing(self) -> dict[str, Problem]:
        """Targets that cannot take clips now, and why."""
        found = dict(self._failure)
        if (uploads := self._uploads) is not None:
            lost = reconfirm.lost_now(self._catalog.read())
            for name, facts in uploads.facts().items():
                if name in uploads.unlocked():
                    found[name] = Problem("target-no-lock")
                if name in lost:
                    found[name] = Problem("target-lost-clips", {"clips": lost[name]})
                if facts.problem is not None and (facts.breaker != "closed" or not facts.greeted):
                    found[name] = facts.problem
        for one in self._all():
            for name, seconds in one.hanging().items():
                found[name] = Problem("target-hangs", {"seconds": seconds})
        return found

    def fares(self) -> dict[str, Fare]:
        """How each target fares. One whose configuration cannot be applied takes nothing."""
        found = {name: Fare(False, None, None) for name in self._failure}
        if (uploads := self._uploads) is None:
            return found
        now = time.monotonic()
        silent = self._reports.silent() if self._reports else {}
        hanging = {name for one in self._all() for name in one.hanging()}
        for name, facts in uploads.facts().items():
            answer = uploads.generation.answer(name)
            if answer is None:
                found[name] = Fare(False, None, None)
                continue
            takes = facts.greeted and facts.breaker == "closed" and name not in hanging | self._failure.keys()
            # Without clips on their way only the reports notice that it is gone.
            found[name] = Fare(takes and answer.at > silent.get(name, 0.0), answer.took, now - answer.at)
        return found

    def untold(self) -> Iterator[tuple[str, Problem]]:
        """(target, why it does not know of this station), as far as `failing` does not say so."""
        failing = self.failing()
        for target, problem in self._reports.problems() if self._reports else ():
            if target not in failing or problem.key != "station-not-told":
                yield target, problem

    def _replace(self, config: Config) -> None:
        self._applied = None
        if self._uploads is not None and not self._retire(self._uploads):
            return
        targets = build(config.targets, self._known_at, self._store_path(""))
        uploads = Uploads(
            self._catalog,
            targets,
            self._store_path,
            limits=self._limits,
            workers=config.upload.uploaders,
            reconfirm=config.upload.reconfirm,
            read_back=config.upload.read_back_percent / 100,
            lock=self._locker,
        )
        uploads.start()
        self._uploads = uploads
        if self._reports is not None:
            self._reports.follow(uploads.generation, targets, uploads.lock)

    def _retire(self, uploads: Uploads) -> bool:
        """False when the agent is stopping: then nothing else is to be started."""
        ended = uploads.stop(_STOP, self._stopping.is_set)
        if self._stopping.is_set():
            return False
        if not ended:
            log.error("an upload under the former configuration hangs; the new one starts beside it")
            uploads.abandon()
            self._left_behind.append(uploads)
        return True

    def _all(self) -> list[Uploads]:
        uploads = self._uploads
        return [*self._left_behind, *([uploads] if uploads is not None else [])]

    def _fails(self, config: Config, problem: Problem) -> None:
        log.error("the configuration of the targets cannot be applied now: %s", problem)
        self._failure = dict.fromkeys(config.targets, problem)

    def _known_at(self, target: str, address: str) -> str:
        return places.known_at(self._catalog.read(), target, address)
