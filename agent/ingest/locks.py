"""One docking of a recorder at a time: one that comes back in another slot, or whose second card sits
in another slot, waits until the work for the first docking has ended."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Locks:
    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held: set[str] = set()

    @contextmanager
    def hold(self, name: str, beat: Callable[[], None]) -> Iterator[None]:
        """Waits for `name`, calling `beat` meanwhile; what `beat` raises ends the wait."""
        with self._condition:
            while name in self._held:
                self._condition.wait(1)
                beat()
            self._held.add(name)
        try:
            yield
        finally:
            with self._condition:
                self._held.discard(name)
                self._condition.notify_all()
