"""The thread in which all that is stored is read again: nobody waits for it, and it waits for everybody."""

import logging
import threading
from collections.abc import Callable

from agent.errors import StationError, Stopping
from agent.ingest.pace import become_idle
from agent.ingest.scrub import LOOK, Scrub
from agent.model import Problem

#: `wait`, for so many seconds, which is True when the agent ends -> what is to be done in this thread
Make = Callable[[Callable[[float], bool]], Scrub]
_log = logging.getLogger(__name__)


class Scrubber(threading.Thread):
    def __init__(self, make: Make) -> None:
        super().__init__(name="scrub", daemon=True)
        self._ending = threading.Event()
        self._scrub = make(self._ending.wait)
        self._fault: Problem | None = None

    @property
    def problem(self) -> Problem | None:
        """Why nothing is read again; None: all is well."""
        return self._fault or self._scrub.problem

    @property
    def behind(self) -> float | None:
        """As of `Scrub`."""
        return self._scrub.behind

    @property
    def figures(self) -> tuple[int, int, float | None, float]:
        """(clips and bytes read since the start, and as `oldest` and `every` of `Scrub`)"""
        scrub = self._scrub
        return scrub.clips_read, scrub.bytes_read, scrub.oldest, scrub.every

    def run(self) -> None:
        become_idle()
        while not self._ending.is_set():
            self._ending.wait(self.step())

    def stop(self, timeout: float) -> bool:
        """For good. True when it has ended."""
        self._ending.set()
        if self.is_alive():
            self.join(timeout)
        return not self.is_alive()

    def step(self) -> float:
        """Seconds until the next one. Never raises."""
        try:
            pause = self._scrub.step()
            self._fault = None
            return pause
        except Stopping:
            return 0.0
        except (StationError, OSError) as error:
            self._fails(str(error))
        except Exception as error:  # noqa: BLE001 - told, and tried again
            _log.exception("reading what is stored has a fault")
            self._fails(repr(error))
        return LOOK

    def _fails(self, why: str) -> None:
        if self._fault is None:
            _log.error("reading what is stored stands still: %s", why)
        self._fault = Problem("scrub-failed", {"error": why})
