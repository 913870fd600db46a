"""Who guessed wrong too often is refused for a while, by name and by address; known in memory alone.

Names come from who guesses: they are kept as digests, and no more than `MOST` of them, the latest. A flood
that pushes a name out costs thousands of hashes for five more tries at it. From any thread.
"""

import hashlib
import ipaddress
import threading
import time
from collections.abc import Callable

WRONG_FOR_A_NAME, WRONG_FROM_AN_ADDRESS = 5, 20
WINDOW = REFUSED = 15 * 60.0  # seconds in which so many are too many, and for how long none is taken then
MOST = 4096  # names, and as many addresses


class Lockout:
    """`clock`: seconds since any moment, never set by anybody."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._names, self._addresses = _Wrong(WRONG_FOR_A_NAME), _Wrong(WRONG_FROM_AN_ADDRESS)

    def left(self, name: str, address: str) -> float:
        """Seconds until a try is taken again; 0: now."""
        with self._lock:
            now = self._clock()
            return max(
                self._names.left(_digest(name), now), self._addresses.left(_digest(place(address)), now)
            )

    def wrong(self, name: str, address: str) -> tuple[bool, bool]:
        """A try that was taken, and was wrong. Whether the name, and the address, are refused from now on."""
        with self._lock:
            now = self._clock()
            of_name = self._names.wrong(_digest(name), now)
            return of_name, self._addresses.wrong(_digest(place(address)), now)

    def right(self, name: str) -> None:
        """Who knows the password forgets wrong tries; an address does not, else one good account would buy
        any number of guesses at others."""
        with self._lock:
            self._names.forget(_digest(name))


class _Wrong:
    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._tries: dict[bytes, list[float]] = {}  # by the last one, so the first are over first

    def left(self, key: bytes, now: float) -> float:
        tries = self._tries.get(key, [])
        return max(0.0, tries[-1] + REFUSED - now) if len(tries) >= self._limit else 0.0

    def wrong(self, key: bytes, now: float) -> bool:
        tries = [at for at in self._tries.pop(key, []) if at > now - WINDOW]
        self._tries[key] = [*tries, now][-self._limit :]
        self._forget_what_is_over(now)
        return len(self._tries[key]) == self._limit

    def forget(self, key: bytes) -> None:
        self._tries.pop(key, None)

    def _forget_what_is_over(self, now: float) -> None:
        while self._tries:
            oldest = next(iter(self._tries))
            over = self._tries[oldest][-1] <= now - max(WINDOW, REFUSED)
            if not over and len(self._tries) <= MOST:
                return
            del self._tries[oldest]


def place(address: str) -> str:
    """What one machine can choose freely is one place: of IPv6 the network."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
