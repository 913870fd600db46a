"""Keeps the log behind the catalog's commits: one thread that gathers for a moment, appends, signs once.

Whatever goes wrong here is told, tried again, and never in the way of a clip: the events are committed, and
the log takes them over when it can.
"""

import logging
import sqlite3
import threading
import time
from pathlib import Path

from agent.catalog import Catalog, events
from agent.custody.log import changing, orders
from agent.custody.log.following import advance
from agent.custody.log.opening import Opened
from agent.custody.log.shelf import Shelf
from agent.errors import StationError
from agent.model import Problem

log = logging.getLogger(__name__)

GATHER = 0.5  # seconds that a commit waits for others to share its head
AGAIN = 60.0  # seconds between two tries after something went wrong


class Keeper:
    def __init__(
        self, catalog: Catalog, folder: Path, station: str, gather: float = GATHER, again: float = AGAIN
    ) -> None:
        """`folder`: where the logs lie; `station`: its id at the centre; `gather`, `again`: in seconds."""
        self._catalog, self._folder, self._station = catalog, folder, station
        self._gather, self._again = gather, again
        self._opened: Opened | None = None
        self._failed: Problem | None = None
        self._broke: Problem | None = None
        self._signed: int | None = None  # entries under the last head, as far as this agent has seen
        self._weighed: tuple[Shelf, int] | None = None  # its bytes when it was opened
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="custody", daemon=True)
        catalog.subscribe(self._wake.set)

    def start(self) -> None:
        self._wake.set()
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Takes over what was committed last, and leaves a backlog to the next start; False when `timeout`
        seconds are not enough."""
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def problems(self) -> list[Problem]:
        """What is wrong now, and what broke at this start."""
        return [problem for problem in (self._failed, self._broke) if problem is not None]

    def figures(self) -> tuple[int, int, int | None] | None:
        """(entries under the last head, events that no head speaks of, bytes of the log's files or None while
        they are not weighed); None while no log could be opened. From any thread."""
        signed, weighed = self._signed, self._weighed  # before the events: more may be signed meanwhile
        if signed is None:
            return None
        happened = events.last(self._catalog.read())
        size = None if weighed is None else weighed[1] + weighed[0].written
        return signed, max(0, happened - signed), size

    def step(self) -> bool:
        """Take over one batch and sign it; whether there is more. Never raises."""
        try:
            if self._opened is None or orders.pending(self._catalog.read()) is not None:
                self._open()
            assert self._opened is not None
            more = advance(self._catalog, self._opened.shelf, self._opened.signer.sign)
            self._failed, self._signed = None, self._opened.shelf.head.size
            return more
        except StationError as error:
            key = error.key if error.key.startswith("log-") else "log-failed"
            self._fails(Problem(key, error.params if key == error.key else {"error": str(error)}))
        except (OSError, sqlite3.Error, ValueError) as error:
            self._fails(Problem("log-failed", {"error": str(error)}))
        except Exception as error:
            log.exception("the log has a fault")
            self._fails(Problem("log-failed", {"error": repr(error)}))
        return False

    def _weigh(self) -> None:
        """Once for each opening, behind what was waiting: nobody waits for a figure."""
        if self._opened is None or (self._weighed and self._weighed[0] is self._opened.shelf):
            return
        shelf = self._opened.shelf
        try:
            if (size := shelf.weigh(self._stopping.is_set)) is not None:
                self._weighed = shelf, size - shelf.written
        except OSError as error:
            log.warning("the log cannot be weighed: %s", error)

    def _open(self) -> None:
        self._opened = changing.opened(self._catalog, self._folder, self._station)
        shelf = self._opened.shelf
        self._broke = self._opened.broke or self._broke
        if shelf.repaired:
            log.warning("%s was cut off: %d bytes behind head %d", shelf.origin, shelf.repaired, shelf.size)

    def _fails(self, problem: Problem) -> None:
        """What the files hold now is unknown: they are opened anew before the next try."""
        if problem != self._failed:
            log.error("the log stands still: %s %s", problem.key, dict(problem.params))
        self._opened, self._failed = None, problem

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._failed is None:
                self._wake.wait()
            self._stopping.wait(self._again if self._failed else self._gather)
            self._wake.clear()
            self._catch_up()
            self._weigh()
        self.step()

    def _catch_up(self) -> None:
        """Half of the time, at most: who has a million events to take over shares the machine with others."""
        more = True
        while more and not self._stopping.is_set():
            began = time.monotonic()
            more = self.step()
            if more:
                self._stopping.wait(time.monotonic() - began)
