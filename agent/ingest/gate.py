"""Who may copy now: so many at once over all, so many per USB controller, first come first served.

A turn lasts one part or one batch of small files, so no slot waits for another one's whole recorder.
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
    def turn(self, controller: str, beat: Callable[[], None]) -> Iterator[None]:
        """Waits for a turn, calling `beat` meanwhile; what `beat` raises ends the wait."""
        ticket = _Ticket(controller)
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
            return self._waiting[0] is ticket  # ten thousand small files come by here
        late = self._monotonic() - _OVERDUE
        busy = Counter(holder.controller for holder in self._inside if holder.since > late)
        total, per_controller = self._limits()
        if busy.total() >= total:
            return False
        free = (waiting for waiting in self._waiting if busy[waiting.controller] < per_controller)
        return next(free, None) is ticket


def controller_of(port: str) -> str:
    """The part of a port's name that its controller has in common with its other ports."""
    return re.split(r"-usb(?:v\d+)?-0:", port)[0]
