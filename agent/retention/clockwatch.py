"""A clock that jumps suspends the release, as it suspends all trust in it; that it did is an entry, and
outlives a restart, as what an administrator said of it does. See `agent.clock`.
"""

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from typing import Any

from agent import clock as station
from agent.catalog import Catalog, door, meta
from agent.clock import Clock, boot_id

_SAVED = 3600.0  # seconds between two notes of the time
_LAST, _JUMPED, _VOUCHED = "clock-last", "clock-jumped", "clock-vouched"
_log = logging.getLogger(__name__)


class ClockWatch:
    """To be made before anything is dated."""

    def __init__(
        self, catalog: Catalog, clock: Clock, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._catalog, self._clock, self._monotonic = catalog, clock, monotonic
        self._saved = monotonic() - _SAVED
        _go_on(catalog.read(), clock)

    def now(self) -> float | None:
        """A time by which something may go; None while there is none. To be asked at least every hour."""
        now, jump = self._clock.stamp(), self._clock.jumped
        if (jump is not None) != suspended(self._catalog.read()):
            self._tell(now.wall, jump)
        if now.trusted and self._monotonic() - self._saved >= _SAVED:
            self._saved = self._monotonic()
            wall, passed = self._clock.moment()
            last = json.dumps({"wall": wall, "passed": passed, "boot": boot_id()})
            self._catalog.write(lambda tx: meta.put(tx, _LAST, last))
        return now.wall if now.trusted else None

    def _tell(self, wall: float, jump: float | None) -> None:
        if jump is not None:
            _log.error("the clock jumped: nothing is released until it is right, or somebody says that it is")

        def work(tx: sqlite3.Connection) -> None:
            meta.put(tx, _JUMPED, "1" if jump is not None else "")
            door.note(tx, "clock-jumped" if jump is not None else "clock-returned", None, {"now": wall})

        self._catalog.write(work)

    def confirm(self, facts: Mapping[str, Any]) -> tuple[int, float]:
        """The time is right, a person says. The number of the event, and the time."""
        wall, passed = self._clock.moment()
        vouched = json.dumps({"ahead": wall - passed, "boot": boot_id()})

        def work(tx: sqlite3.Connection) -> int:
            meta.put(tx, _JUMPED, "")
            meta.put(tx, _VOUCHED, vouched)
            return door.note(tx, "clock-confirmed", None, {**facts, "now": wall})

        event = self._catalog.write(work)
        self._clock.believe(wall, passed)
        return event, wall


def next_one_trusts(db: sqlite3.Connection) -> bool:
    """Whether an agent that started now, beside this catalog, would believe the clock."""
    clock = Clock(lambda: station.synchronised())
    _go_on(db, clock)
    return clock.trusted()


def _go_on(db: sqlite3.Connection, clock: Clock) -> None:
    """What comes is compared with now, and with what was believed, and vouched for, before a restart."""
    last = json.loads(meta.get(db, _LAST) or "{}")
    if suspended(db):
        clock.distrust()
    elif last.get("boot") == boot_id():
        clock.go_on(last["wall"], last["passed"])
    elif known := max(last.get("wall", 0.0), _last_event(db)):
        clock.remember(known)
    vouched = json.loads(meta.get(db, _VOUCHED) or "{}")
    if vouched.get("boot") == boot_id():
        clock.vouch(vouched["ahead"])
    clock.stamp()


def _last_event(db: sqlite3.Connection) -> float:
    """When something last happened at a time that was believed; 0: never."""
    row = db.execute("SELECT at FROM events WHERE clock_trusted = 1 ORDER BY seq DESC LIMIT 1").fetchone()
    return float(row[0]) if row else 0.0


def suspended(db: sqlite3.Connection) -> bool:
    return bool(meta.get(db, _JUMPED))
