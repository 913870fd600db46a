"""A clock that jumps suspends the release until somebody confirms it: what it says decides what may go.

Two trusted times are compared with the monotonic clock between them. Over a restart there is none: then only
a clock that went back, or that says the station was off for longer than anybody leaves one, is a jump.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from agent.catalog import Catalog, door, meta

STEP = 86400.0  # seconds
OFF = 35 * 86400.0  # seconds that a station may have been off
_SAVED = 3600.0  # seconds between two notes of the time
_LAST, _SUSPENDED = "clock-last", "clock-suspended"
_log = logging.getLogger(__name__)


class ClockWatch:
    def __init__(
        self,
        catalog: Catalog,
        trusted: Callable[[], bool],
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog, self._trusted = catalog, trusted
        self._wall, self._monotonic = wall, monotonic
        self._last: tuple[float, float] | None = None  # wall, monotonic; both of one trusted moment
        self._saved = -_SAVED

    def now(self) -> float | None:
        """A time by which something may go; None while there is none."""
        if not self._trusted():
            return None
        self._look(self._wall(), self._monotonic())
        return None if suspended(self._catalog.read()) else self._wall()

    def _look(self, wall: float, monotonic: float) -> None:
        if self._last is not None:
            expected = self._last[0] + monotonic - self._last[1]
            jumped = abs(wall - expected) > STEP
        else:
            expected = float(meta.get(self._catalog.read(), _LAST) or wall)
            jumped = not expected - STEP <= wall <= expected + OFF
        if jumped:
            self._suspend(expected, wall)
        self._last = wall, monotonic
        if jumped or monotonic - self._saved >= _SAVED:
            self._saved = monotonic
            self._catalog.write(lambda tx: meta.put(tx, _LAST, repr(wall)))

    def _suspend(self, expected: float, wall: float) -> None:
        _log.error("the clock jumped by %.0f s: nothing is released until that is confirmed", wall - expected)

        def work(tx: sqlite3.Connection) -> None:
            seq = door.note(tx, "clock-jumped", None, {"expected": expected, "now": wall})
            meta.put(tx, _SUSPENDED, json.dumps(seq))

        self._catalog.write(work)


def suspended(db: sqlite3.Connection) -> int:
    """The event of the jump that nobody has confirmed; 0: none."""
    return int(json.loads(meta.get(db, _SUSPENDED) or "0"))


def confirm(tx: sqlite3.Connection, facts: Mapping[str, Any]) -> int | None:
    """The time is right. The number of the event; None when nothing is suspended."""
    if not (jump := suspended(tx)):
        return None
    meta.put(tx, _SUSPENDED, "0")
    return door.note(tx, "clock-confirmed", None, {"jump": jump, **facts})
