"""Looks now and then what may go: a thread of its own, that nobody waits for."""

import logging
import threading
from collections.abc import Callable

from agent.errors import StationError
from agent.model import Problem
from agent.retention.release import Done, Release

EVERY = 1800.0  # seconds
SOON = 120.0  # seconds until the centre may have answered for what it was asked
_log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """`problem`: why what may go is not found out, or not removed; None: all is well. `settle`: ends what
    time alone ends, and has locked for longer what was lengthened, until it is told to stop."""

    def __init__(
        self, release: Release, settle: Callable[[Callable[[], bool]], None] = lambda stopping: None
    ) -> None:
        super().__init__(name="retention", daemon=True)
        self._release, self._settle = release, settle
        self._wake, self._ending = threading.Event(), threading.Event()
        self.problem: Problem | None = None

    def run(self) -> None:
        pause = SOON
        while not self._ending.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if not self._ending.is_set():
                pause = SOON if self.step().asked else EVERY

    def wake(self) -> None:
        """Something was lengthened."""
        self._wake.set()

    def stop(self, timeout: float) -> bool:
        """For good. True when it has ended."""
        self._ending.set()
        self._wake.set()
        if self.is_alive():
            self.join(timeout)
        return not self.is_alive()

    def step(self) -> Done:
        """What was let go before is finished in any case. Never raises."""
        done = Done()
        try:
            self._settle(self._ending.is_set)
            done = self._release.step(self._ending.is_set)
            self.problem = None
        except (StationError, OSError) as error:
            self._fails(str(error))
        except Exception as error:  # noqa: BLE001 - told, and tried again
            _log.exception("retention has a fault")
            self._fails(repr(error))
        if done.released:
            _log.info("%d local copies were released", done.released)
        return done

    def _fails(self, why: str) -> None:
        if self.problem is None:
            _log.error("retention stands still: %s", why)
        self.problem = Problem("retention-failed", {"error": why})
