"""Who may copy now: so many at once over all, so many per USB controller. First come first served, after
those that somebody asked for.

A turn lasts one part, so no slot waits for another one's whole recorder; files of up to 1 MiB take none.
"""

import contextlib
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

_WAIT = 1.0  # seconds between two heartbeats of one who waits
_OVERDUE = 30.0  # seconds after which a turn counts no more: a hanging recorder must not hold up the others


@dataclass(slots=True, eq=False)
class _Ticket:
    controller: str
    first: Callable[[], bool]
    since: float = 0.0


class Gate:
    def __init__(
        self,
        limits: Callable[[], tuple[int, int]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`limits`: (at once over all, at once per controller), asked anew at every turn."""
        self._limits = limits
        self._monotonic = monotonic
        self._condition = threading.Condition()
        self._waiting: list[_Ticket] = []
        self._inside: list[_Ticket] = []

    @contextlib.contextmanager
    def turn(
        self, controller: str, beat: Callable[[], None], first: Callable[[], bool] = lambda: False
    ) -> Iterator[None]:
        """Waits for a turn, calling `beat` meanwhile; what `beat` raises ends the wait. `first`: whether it
        goes before others that wait; asked often, and under a lock."""
        ticket = _Ticket(controller, first)
        with self._condition:
            self._waiting.append(ticket)
            try:
                while not self._condition.wait_for(lambda: self._is_next(ticket), _WAIT):
                    beat()
            finally:
                self._waiting.remove(ticket)
                self._condition.notify_all()
            ticket.since = self._monotonic()
            self._inside.append(ticket)
        try:
            yield
        finally:
            with self._condition:
                self._inside.remove(ticket)
                self._condition.notify_all()

    def _is_next(self, ticket: _Ticket) -> bool:
        if not self._inside:
            return self._ranked()[0] is ticket
        late = self._monotonic() - _OVERDUE
        busy = Counter(holder.controller for holder in self._inside if holder.since > late)
        total, per_controller = self._limits()
        if busy.total() >= total:
            return False
        free = (waiting for waiting in self._ranked() if busy[waiting.controller] < per_controller)
        return next(free, None) is ticket

    def _ranked(self) -> list[_Ticket]:
        return sorted(self._waiting, key=lambda waiting: not waiting.first())


def controller_of(port: str) -> str:
    """The part of a port's name that its controller has in common with its other ports."""
    return re.split(r"-usb(?:v\d+)?-0:", port)[0]
