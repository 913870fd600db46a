"""Time that says how far it can be trusted. Intervals are monotonic and never come from here.

Every event carries wall time, boot id and whether the clock was trusted at that moment; so a log that
was written under a wrong clock can be put in order later (sequence, then boot, then time).
"""

import ctypes
import functools
import time
from dataclasses import dataclass
from pathlib import Path

_TIME_ERROR = 5  # adjtimex(2): the clock is not synchronised
_TIMEX_SIZE = 208  # sizeof(struct timex) on 64-bit Linux, generously the larger of all


@dataclass(frozen=True, slots=True)
class Stamp:
    wall: float  # seconds since the epoch
    boot_id: str
    trusted: bool


@functools.cache
def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)


def synchronised() -> bool:
    """Whether the kernel believes that some time service keeps this clock (adjtimex, read only)."""
    state = int(_libc().adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE)))
    return 0 <= state != _TIME_ERROR


def stamp() -> Stamp:
    return Stamp(time.time(), boot_id(), synchronised())
