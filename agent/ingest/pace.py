"""How work that can wait keeps out of the way of work that cannot."""

import ctypes
import logging
import os
import platform
import time
from collections.abc import Callable

from agent.errors import Stopping

_LEAST = 64 << 10  # bytes that any step counts as: a tiny file costs the disk as much
_AT_ONCE = 1.0  # second's worth of bytes that are read without a pause: few pauses, and short ones
_POLL = 5.0  # seconds between two looks whether a recorder is still being copied
_SYSCALL = {"x86_64": 251, "aarch64": 30}  # of ioprio_set
_THREAD, _IDLE = 1, 3 << 13  # IOPRIO_WHO_PROCESS (of the caller: this thread), IOPRIO_CLASS_IDLE
_log = logging.getLogger(__name__)


class Pace:
    """Lets no more than `rate` bytes in a second pass, and none while others are `busy`. `wait`: sleeps for
    so many seconds; True when the agent ends."""

    def __init__(
        self,
        rate: Callable[[], int],
        busy: Callable[[], bool],
        wait: Callable[[float], bool],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rate, self._busy, self._wait, self._monotonic = rate, busy, wait, monotonic
        self._owed, self._since = 0.0, monotonic()

    def __call__(self, size: int) -> None:
        """Before `size` bytes are read. Raises Stopping."""
        self._owed += max(size, 0)
        rate = self._rate()
        if self._owed >= rate * _AT_ONCE:
            self._pause(self._owed / rate - (self._monotonic() - self._since))
            self._owed, self._since = 0.0, self._monotonic()
        while self._busy():
            self._pause(_POLL)

    def begin(self) -> None:
        """A file is opened. Raises Stopping."""
        self(_LEAST)

    def check(self) -> None:
        """Raises Stopping."""
        self._pause(0.0)

    def _pause(self, seconds: float) -> None:
        if self._wait(max(0.0, seconds)):
            raise Stopping


def become_idle() -> None:
    """The disk serves this thread when nobody else wants anything of it, if its scheduler heeds that."""
    number = _SYSCALL.get(platform.machine())
    libc = ctypes.CDLL(None, use_errno=True)
    if number is None:
        _log.info("no idle class for the disk on %s", platform.machine())
    elif libc.syscall(number, _THREAD, 0, _IDLE) != 0:
        _log.info("the kernel refuses the idle class for the disk: %s", os.strerror(ctypes.get_errno()))
