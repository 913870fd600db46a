"""Time that is missing inside one recording, which the recorder cut into segments.

A recorder that cuts at a length gives clips of that very length, none that is longer, and others that begin
where these ended: that is how the length is learned. Every other end is a stop of the officer, and a stop is
no gap.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby, pairwise
from statistics import median

from agent.catalog.visits import Item

_ALIKE = 3.0  # seconds: names tell whole ones, FAT every second one
_FEW = 10.0  # seconds between two segments that are no gap
_SEVERAL = 3  # clips of one length
_JOINTS = 2  # of them, which the next one follows at once
_SHORTEST, _LONGEST = 30.0, 7200.0  # seconds of a segment
_FARTHEST = 7200.0  # seconds: what begins later is another recording, or the clock was set
#: File systems that keep time in UTC say when a file was written by that; recorders are in one zone.
_ZONE = timedelta(hours=8)


@dataclass(frozen=True, slots=True)
class TimeGap:
    after: Item
    before: Item
    ended: datetime  # of `after`
    seconds: int
    segment: int  # seconds


@dataclass(frozen=True, slots=True)
class _Timed:
    item: Item
    start: datetime
    end: datetime

    @property
    def length(self) -> float:
        return (self.end - self.start).total_seconds()


def gaps(items: Iterable[Item]) -> Iterator[TimeGap]:
    """Of one visit."""
    for _, group in groupby(sorted(items, key=_place), key=lambda item: (item.fs_id, item.kind)):
        lot = [timed for item in group if (timed := _timed(item))]
        if not (usual := _usual(lot)):
            continue
        for one, following in _pairs(lot):
            missing = _pause(one, following)
            if abs(one.length - usual) <= _ALIKE and _FEW < missing <= _FARTHEST:
                yield TimeGap(one.item, following.item, one.end, round(missing), round(usual))


def _pairs(lot: list[_Timed]) -> Iterator[tuple[_Timed, _Timed]]:
    """With consecutive numbers."""
    return (pair for pair in pairwise(lot) if pair[1].item.sequence == pair[0].item.sequence + 1)


def _pause(one: _Timed, following: _Timed) -> float:
    return (following.start - one.end).total_seconds()


def _place(item: Item) -> tuple[str, str, int, int]:
    return item.fs_id, item.kind, item.sequence, item.clip


def _timed(item: Item) -> _Timed | None:
    if item.kind not in ("video", "audio") or item.at is None or item.ended is None:
        return None
    for zone in (timedelta(), _ZONE):
        end = item.ended + zone
        if 0 < (end - item.at).total_seconds() <= _LONGEST:
            return _Timed(item, item.at, end)
    return None


def _usual(lot: list[_Timed]) -> float:
    """The length at which the recorder cuts, in seconds; 0 when these clips do not tell."""
    longest = max((one.length for one in lot), default=0.0)
    if longest < _SHORTEST:
        return 0.0
    alike = [one.length for one in lot if longest - one.length <= _ALIKE]
    joints = sum(
        longest - one.length <= _ALIKE and abs(_pause(one, following)) <= _FEW
        for one, following in _pairs(lot)
    )
    return median(alike) if len(alike) >= _SEVERAL and joints >= _JOINTS else 0.0
