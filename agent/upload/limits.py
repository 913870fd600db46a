"""How fast and when clips may be sent: one allowance for all uploaders and all targets.

Live: whoever is in the middle of a clip goes on under the new limits with its next bytes.
"""

import threading
import time
from collections.abc import Callable

from agent.config.hours import within
from agent.config.schema import UploadConfig
from agent.upload.targets.base import Check

#: Seconds. What one uploader gets at a time: four of them together still send every half second, and no
#: server takes a pause in the middle of a part for a dead line.
_TURN = 0.125
_SAVED = 0.1  # seconds of sending that may be made good after a pause
_NAP = 0.25  # seconds between two questions whether to go on


class Limits:
    """`sleep` and `monotonic` are in seconds."""

    def __init__(
        self,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._monotonic, self._sleep = monotonic, sleep
        self._lock = threading.Lock()
        self._now = UploadConfig()
        self._paid_until = 0.0  # when the bytes that were granted have had their time

    def set(self, config: UploadConfig) -> None:
        self._now = config

    def grant(self, wanted: int, check: Check) -> int:
        """How many of `wanted` bytes may be sent now, at least one; after the wait that they cost."""
        rate = self._now.bandwidth
        if rate is None:
            return wanted
        granted = min(wanted, max(1, int(rate * _TURN)))
        with self._lock:
            begin = max(self._paid_until, self._monotonic() - _SAVED)
            self._paid_until = until = begin + granted / rate
        while (left := until - self._monotonic()) > 0:
            check()
            self._sleep(min(left, _NAP))
        return granted

    def open_at(self, wall: float) -> bool:
        """Whether clips that nobody waits for may be sent at this time (seconds since the epoch)."""
        hours = self._now.hours
        here = time.localtime(wall)
        return hours is None or within(hours, here.tm_hour * 60 + here.tm_min)
