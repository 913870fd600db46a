"""Looks now and then what may go: a thread of its own, that nobody waits for."""

import logging
import threading
from collections.abc import Callable

from agent.errors import StationError
from agent.model import Problem
from agent.retention.forecast import Forecast
from agent.retention.release import Done, Release

EVERY = 1800.0  # seconds
SOON = 120.0  # seconds until the centre may have answered for what it was asked
_REST = 60.0  # seconds after each look, however often it is woken: a look passes over all confirmed clips
_log = logging.getLogger(__name__)


class Worker(threading.Thread):
    """`problem`: why what may go is not found out, or not removed; None: all is well. `making_room`: whether
    the last look let something go, or asked the centre about it. `forecast`: of the last look, what `foresee`
    said; None: nobody knows. `settle`: ends what time alone ends, and has locked for longer what was
    lengthened, until it is told to stop."""

    def __init__(
        self,
        release: Release,
        settle: Callable[[Callable[[], bool]], None] = lambda stopping: None,
        foresee: Callable[[], Forecast | None] = lambda: None,
    ) -> None:
        super().__init__(name="retention", daemon=True)
        self._release, self._settle, self._foresee = release, settle, foresee
        self._wake, self._ending = threading.Event(), threading.Event()
        self.problem: Problem | None = None
        self.making_room = False
        self.forecast: Forecast | None = None

    def run(self) -> None:
        pause = SOON
        while not self._ending.is_set():
            self._wake.wait(pause)
            self._wake.clear()
            if not self._ending.is_set():
                pause = SOON if self.step().asked else EVERY
                self._ending.wait(min(_REST, pause))

    def wake(self) -> None:
        """Something was lengthened, or room is short: look now."""
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
            self.forecast = self._foresee()
            self.problem = None
        except (StationError, OSError) as error:
            self._fails(str(error))
        except Exception as error:  # noqa: BLE001 - told, and tried again
            _log.exception("retention has a fault")
            self._fails(repr(error))
        self.making_room = done.released > 0 or done.asked > 0
        if done.released:
            _log.info("%d local copies were released", done.released)
        return done

    def _fails(self, why: str) -> None:
        if self.problem is None:
            _log.error("retention stands still: %s", why)
        self.problem = Problem("retention-failed", {"error": why})
