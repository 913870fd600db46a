"""So many requests from one address, of IPv6 from one network, and no more: what a page or a program asks for
passes, no flood does."""

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from agent.access.lockout import place
from agent.web.api.problems import details
from agent.web.door import at_the_rack
from agent.web.guard import local_user

_PER_SECOND, _AT_ONCE = 50.0, 200.0
_ADDRESSES = 1_000  # of which it is remembered how much they asked for; the longest silent one is forgotten


class Rate:
    """A bucket for each address that fills by itself. This machine's users and its screen are not counted."""

    def __init__(self, app: ASGIApp, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._clock = app, clock
        self._lock = threading.Lock()
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()  # address → (requests, when)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and local_user(scope) is None and not at_the_rack(scope):
            client = scope.get("client")
            if not self._passes(place(str(client[0])) if client else ""):
                answer = details("too-often", 429)
                answer.headers["Retry-After"] = "1"
                await answer(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _passes(self, address: str) -> bool:
        with self._lock:
            now = self._clock()
            left, when = self._left.pop(address, (_AT_ONCE, now))
            left = min(_AT_ONCE, left + (now - when) * _PER_SECOND)
            self._left[address] = (left - 1 if left >= 1 else left, now)
            if len(self._left) > _ADDRESSES:
                self._left.popitem(last=False)
            return left >= 1
