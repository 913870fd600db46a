"""Sessions of people, in memory: a restart of the agent ends them all. Of a secret only its hash is kept.

From any thread.
"""

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.access.roles import Caller

IDLE, WHOLE = 15 * 60.0, 12 * 3600.0  # seconds
MOST, MOST_OF_ONE = 1000, 10
_BYTES = 32  # of a secret


@dataclass(slots=True)
class Session:
    caller: Caller
    event: int  # of the account's last change when it began
    began: float
    seen: float  # somebody did something


class Sessions:
    """`clock`: seconds since any moment, never set by anybody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._all: dict[bytes, Session] = {}  # the oldest first

    def begin(self, caller: Caller, event: int) -> str:
        """Its secret, which nobody can tell again. Where there are too many, the oldest goes."""
        secret, now = secrets.token_urlsafe(_BYTES), self._clock()
        with self._lock:
            for key in [key for key, session in self._all.items() if _over(session, now)]:
                del self._all[key]
            self._make_room(
                [key for key, one in self._all.items() if one.caller.name == caller.name], MOST_OF_ONE
            )
            self._make_room(list(self._all), MOST)
            self._all[_digest(secret)] = Session(caller, event, now, now)
        return secret

    def of(self, secret: str, *, polling: bool = False) -> Session | None:
        """`polling`: a page asks by itself, which does not prove that somebody is there."""
        key, now = _digest(secret), self._clock()
        with self._lock:
            session = self._all.get(key)
            if session is None:
                return None
            if _over(session, now):
                del self._all[key]
                return None
            if not polling:
                session.seen = now
            return session

    def end(self, secret: str) -> Session | None:
        """None when there was none, or it was over."""
        with self._lock:
            session = self._all.pop(_digest(secret), None)
        return None if session is None or _over(session, self._clock()) else session

    def __len__(self) -> int:
        return len(self._all)

    def _make_room(self, keys: list[bytes], most: int) -> None:
        for key in keys[: max(0, len(keys) - most + 1)]:
            del self._all[key]


def _over(session: Session, now: float) -> bool:
    return now - session.seen >= IDLE or now - session.began >= WHOLE


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
