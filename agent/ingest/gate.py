"""Who may copy now: so many at once over all, so many per USB controller, first come first served.

A turn lasts one part or one batch of small files, so no slot waits for another one's whole recorder.
"""

import contextlib
import threading
from collections import Counter, deque
from collections.abc import Iterator


class Gate:
    def __init__(self, total: int, per_controller: int) -> None:
        self._total = total
        self._per_controller = per_controller
        self._condition = threading.Condition()
        self._waiting: deque[tuple[object, str]] = deque()
        self._inside: Counter[str] = Counter()

    @contextlib.contextmanager
    def turn(self, controller: str) -> Iterator[None]:
        """Waits for a turn; others of the same controller that came first go first."""
        ticket = (object(), controller)
        with self._condition:
            self._waiting.append(ticket)
            self._condition.wait_for(lambda: self._next(ticket))
            self._waiting.remove(ticket)
            self._inside[controller] += 1
            self._condition.notify_all()
        try:
            yield
        finally:
            with self._condition:
                self._inside[controller] -= 1
                self._condition.notify_all()

    def _next(self, ticket: tuple[object, str]) -> bool:
        if self._inside.total() >= self._total:
            return False
        for waiting in self._waiting:
            if self._inside[waiting[1]] < self._per_controller:
                return waiting is ticket
        return False
