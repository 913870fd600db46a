"""Views that go on: under an address that nobody can guess, for who asked for it, and for some minutes."""

import hashlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import Reject

LASTS = 600.0  # seconds
MOST, MOST_OF_ONE = 500, 20
_BYTES = 32  # of a secret
SECRET = r"^[A-Za-z0-9_-]{43}$"


@dataclass(frozen=True, slots=True)
class View:
    """`whose`: what tells one caller's session from all others; `until` by the clock of `Views`."""

    clip: int
    key: str
    whose: str
    until: float


class Views:
    """In memory: a restart of the agent ends them all. From any thread. `clock`: seconds since any moment,
    never set by anybody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._all: OrderedDict[bytes, View] = OrderedDict()  # the oldest first

    def begin(self, clip: int, key: str, whose: str) -> str:
        """Its secret, which nobody can tell again. Where there are too many, the oldest ends."""
        secret = secrets.token_urlsafe(_BYTES)
        with self._lock:
            now = self._clock()
            self._end([one for one, view in self._all.items() if view.until <= now])
            self._end([one for one, view in self._all.items() if view.whose == whose][: 1 - MOST_OF_ONE])
            self._end(list(self._all)[: 1 - MOST])
            self._all[_digest(secret)] = View(clip, key, whose, now + LASTS)
        return secret

    def of(self, secret: str, whose: str) -> View:
        """Raises Reject `no-such-view`, alike for one that is over, another one's, and none."""
        with self._lock:
            view = self._all.get(_digest(secret))
            if view is None or view.whose != whose or view.until <= self._clock():
                raise Reject("no-such-view")
            return view

    def _end(self, views: list[bytes]) -> None:
        for one in views:
            del self._all[one]


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
