"""A clock that jumps suspends the release, as it suspends all trust in it; that it did is an entry, and
outlives a restart. See `agent.clock`.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from agent.catalog import Catalog, door, meta
from agent.clock import Clock

_SAVED = 3600.0  # seconds between two notes of the time
_LAST, _JUMPED = "clock-last", "clock-jumped"
_log = logging.getLogger(__name__)


class ClockWatch:
    """To be made before anything is dated."""

    def __init__(
        self, catalog: Catalog, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog, self._clock, self._monotonic = catalog, clock, monotonic
        self._saved = monotonic() - _SAVED
        db = catalog.read()
        if suspended(db):
            clock.distrust()
        elif last := max(float(meta.get(db, _LAST) or 0), _last_event(db)):
            clock.remember(last)
        clock.stamp()  # what comes is compared with now

    def now(self) -> float | None:
        """A time by which something may go; None while there is none. To be asked at least every hour."""
        now, jump = self._clock.stamp(), self._clock.jumped
        if (jump is not None) != suspended(self._catalog.read()):
            self._tell(now.wall, jump)
        if now.trusted and self._monotonic() - self._saved >= _SAVED:
            self._saved = self._monotonic()
            self._catalog.write(lambda tx: meta.put(tx, _LAST, repr(now.wall)))
        return now.wall if now.trusted else None

    def _tell(self, wall: float, jump: float | None) -> None:
        if jump is not None:
            _log.error("the clock jumped: nothing is released until it is right, or somebody says that it is")

        def work(tx: sqlite3.Connection) -> None:
            meta.put(tx, _JUMPED, "1" if jump is not None else "")
            door.note(tx, "clock-jumped" if jump is not None else "clock-returned", None, {"now": wall})

        self._catalog.write(work)

    def confirm(self, tx: sqlite3.Connection, facts: Mapping[str, Any]) -> int:
        """The time is right, a person says. The number of the event."""
        meta.put(tx, _JUMPED, "")
        return door.note(tx, "clock-confirmed", None, facts)

    def believe(self) -> None:
        """After `confirm` was committed."""
        self._clock.believe()


def _last_event(db: sqlite3.Connection) -> float:
    """When something last happened at a time that was believed; 0: never."""
    row = db.execute("SELECT at FROM events WHERE clock_trusted ORDER BY seq DESC LIMIT 1").fetchone()
    return float(row[0]) if row else 0.0


def suspended(db: sqlite3.Connection) -> bool:
    return bool(meta.get(db, _JUMPED))
