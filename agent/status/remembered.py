"""An answer that holds for a moment, so that fifty open pages cost as much as one."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Remembered(Generic[T]):
    """Asks `source` at most every `seconds`; callers that come meanwhile wait for the same answer.

    What `source` raises goes to the caller and is not remembered."""

    def __init__(
        self, source: Callable[[], T], seconds: float, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._source = source
        self._seconds = seconds
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._answer: tuple[float, T] | None = None

    def __call__(self) -> T:
        with self._lock:
            if self._answer is None or self._monotonic() - self._answer[0] >= self._seconds:
                self._answer = (self._monotonic(), self._source())
            return self._answer[1]
