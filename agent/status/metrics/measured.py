"""Whom the metrics ask beside the sources of the snapshot."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from agent.catalog.backlog import Amount


class Scrubbed(NamedTuple):
    """Of reading again what is stored."""

    clips: int  # that were read and found whole since the agent's start
    bytes: int  # of these
    oldest: float | None  # seconds since that clip was read which was not for longest; None: not known
    every: float  # seconds within which each clip is to be read


@dataclass(frozen=True, slots=True)
class Measured:
    """Every callable answers within milliseconds, from any thread. None: nobody knows."""

    amounts: Callable[[], Mapping[str, Amount]]  # by state of the clips
    #: what was stored, uploaded and confirmed since the agent's start
    moved: Callable[[], Mapping[str, Amount]]
    waiting: Callable[[], float | None]  # seconds that the clip waits which waits longest; 0: none waits
    deadline: Callable[[], float]  # seconds from docking to the centre
    overdue: Callable[[], int | None]  # clips that wait for longer than that
    late_today: Callable[[], int | None]  # clips that came late to the station, today
    #: by name: (whether it takes clips now, seconds until it said last who it is, seconds since that)
    targets: Callable[[], Mapping[str, tuple[bool, float | None, float | None]]]
    clock_offset: Callable[[], float | None]  # seconds that it is ahead of an authenticated server
    #: (entries under the last head, events that no head speaks of yet, bytes of its files)
    log: Callable[[], tuple[int, int, int | None] | None]
    unsafe_shutdowns: Callable[[], int | None]
    beats: Callable[[], Iterable[tuple[str, float, float]]]  # (worker, seconds without progress, its limit)
    scrub: Callable[[], Scrubbed]
    rotten: Callable[[], int]  # confirmed clips whose copy here is known not to be whole
