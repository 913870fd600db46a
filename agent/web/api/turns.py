"""How much looking at recordings one person may do at once: an entry costs the log for ever, and a recording
that is sent costs a descriptor and memory that dockings need."""

import threading
import time
from collections import Counter
from collections.abc import Callable

from agent.errors import Reject

#: Looks of one person: so many at once, and one more after each pause. Nobody reads faster.
AT_ONCE, PAUSE = 30, 2.0  # seconds
#: Recordings that are being sent. A player takes one or two.
MOST, MOST_OF_ONE = 24, 6


class Looks:
    """From any thread. `clock`: seconds since any moment, never set by anybody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._until: dict[str, float] = {}  # person → when all they did is paid for; none who owes nothing

    def take(self, who: str) -> None:
        """One look more. Raises Reject `looks-busy`."""
        with self._lock:
            now = self._clock()
            self._until = {one: until for one, until in self._until.items() if until > now}
            until = max(now, self._until.get(who, now)) + PAUSE
            if until - now > AT_ONCE * PAUSE:
                raise Reject("looks-busy")
            self._until[who] = until


class Seats:
    """Who is being sent recordings now. From any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = Counter[str]()

    def take(self, who: str) -> None:
        """To be given back by `leave`. Raises Reject `recordings-busy`."""
        with self._lock:
            if self._taken.total() >= MOST or self._taken[who] >= MOST_OF_ONE:
                raise Reject("recordings-busy")
            self._taken[who] += 1

    def leave(self, who: str) -> None:
        with self._lock:
            self._taken[who] -= 1
            self._taken += Counter()  # who has none left is forgotten
