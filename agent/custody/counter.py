"""Follows a recorder's counter: which numbers nothing has, and where it went back.

Every kind of recording (video, audio, photo) is followed by itself, since some recorders count each kind
apart; but a number of another kind fills a hole, since others have one counter for all. So neither is accused
for being what it is. Numbers alone give the order: clocks are reset, counters are not. They run to 999, 9999
and so on, and then begin anew at 0 or 1.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby, pairwise

from agent.catalog.findings import between
from agent.catalog.visits import MEDIA, Item, Use, Visit

_NEAR = 10  # a new round begins within a tenth of the numbers; what is farther went back
_SLACK = timedelta(days=1)  # for a number of another kind: it only has to be of these days


@dataclass(frozen=True, slots=True)
class Head:
    """The newest recording of a kind."""

    sequence: int
    clip: int
    at: str | None  # ISO, the recorder's time

    def told(self) -> dict[str, object]:
        return {"clip": self.clip, "sequence": self.sequence, "recorded_at": self.at}


@dataclass(frozen=True, slots=True)
class Gap:
    kind: str
    spans: tuple[tuple[int, int], ...]  # (first, last) of numbers that nothing has
    after: Head
    before: Head
    docking: int


@dataclass(frozen=True, slots=True)
class Back:
    head: Head  # before it went back
    items: tuple[Item, ...]  # by number


@dataclass(slots=True)
class Series:
    heads: dict[str, Head]
    top: int
    since: int = 0  # the first clip of a new round; 0: the round goes on
    gaps: list[Gap] = field(default_factory=list)
    back: dict[str, Back] = field(default_factory=dict)


def head(item: Item) -> Head:
    return Head(item.sequence, item.clip, item.at.isoformat() if item.at else None)


def newest(items: Iterable[Item]) -> dict[str, Head]:
    """By kind. Of recordings without a time, the one with the highest number."""
    found: dict[str, Item] = {}
    for item in items:
        before = found.get(item.kind)
        if before is None or _newer(item, before):
            found[item.kind] = item
    return {kind: head(item) for kind, item in found.items()}


def follow(heads: Mapping[str, Head], top: int, cards: Mapping[str, bool], visit: Visit) -> Series:
    """`cards`: those that were listed whole before; what is new on one of them was recorded since then."""
    items = sorted(visit.items, key=lambda item: item.kind)
    top = max([top, *(item.sequence for item in items)])
    series = Series(dict(heads), top)
    fresh = newest(items)
    for kind, group in groupby(items, key=lambda item: item.kind):
        lot, mine = list(group), heads.get(kind)
        if mine is None:  # the first of its kind: what came before is not judged
            series.heads[kind] = fresh[kind]
            continue
        others = [one for other, one in (*heads.items(), *fresh.items()) if other != kind]
        _Follower(series, visit, kind, mine, others).follow([i for i in lot if not _late(i, mine, cards)])
    return series


class _Follower:
    """One kind of recording through one visit."""

    def __init__(self, series: Series, visit: Visit, kind: str, mine: Head, others: Sequence[Head]) -> None:
        self._series, self._visit, self._kind = series, visit, kind
        self._head, self._others = mine, others
        self._first = min((item.clip for item in visit.items), default=0)
        self._apart = _count_apart(visit.uses)
        self._round = int(10 ** max(3, len(str(series.top))))  # numbers of a whole round, 0 included

    def follow(self, items: list[Item]) -> None:
        ahead, anew, along, back = self._parted(items)
        self._walk(ahead, self._visit.uses)
        if anew:
            self._begins_anew()
            self._turn(anew)
        if along:  # the other kinds' counter, which this one shares, began anew before
            self._head = head(along[-1])
        if back:
            self._series.back[self._kind] = Back(self._head, tuple(back))
            self._begins_anew()
            self._head = head(back[0])
            self._walk(back[1:], self._fresh_uses())
        self._series.heads[self._kind] = self._head

    def _parted(self, items: Iterable[Item]) -> tuple[list[Item], list[Item], list[Item], list[Item]]:
        """(ahead of the head, in a new round, along with another kind, gone back), each by number."""
        ahead, anew, along, back = [], [], [], []
        mine = self._head.sequence
        for item in sorted(items, key=lambda item: (item.sequence, item.clip)):
            if item.sequence == mine:
                continue  # front and rear camera, or one more name
            near = self._is_near(self._head, item)
            if item.sequence > mine:
                ahead.append(item)
            elif near and not self._is_anew_already(item):
                anew.append(item)
            elif near or any(self._is_near(one, item) for one in self._others):
                along.append(item)
            else:
                back.append(item)
        return ahead, anew, along, back

    def _is_anew_already(self, item: Item) -> bool:
        """Whether another kind's counter began its new round in an earlier visit: what was used of the old
        one is not known any more."""
        return any(
            one.sequence <= item.sequence and one.clip < self._first and self._is_near(one, item)
            for one in self._others
        )

    def _is_near(self, start: Head, item: Item) -> bool:
        """In the direction of the counter."""
        return (item.sequence - start.sequence) % self._round <= self._round // _NEAR

    def _begins_anew(self) -> None:
        self._series.since = self._first

    def _walk(self, items: Sequence[Item], uses: Mapping[int, Sequence[Use]]) -> None:
        for item in items:
            self._look(self._head.sequence + 1, item.sequence - 1, item, uses)
            self._head = head(item)

    def _turn(self, anew: Sequence[Item]) -> None:
        """From the end of one round into the next."""
        end, first = self._round - 1, anew[0]
        fresh = self._fresh_uses()
        missing = [
            *self._missing(self._head.sequence + 1, end, first, self._visit.uses),
            *self._missing(1, first.sequence - 1, first, fresh),
        ]
        self._note(missing, first)
        self._head = head(first)
        self._walk(anew[1:], fresh)

    def _fresh_uses(self) -> dict[int, list[Use]]:
        """Without those of the round before."""
        return {
            number: [use for use in uses if use.clip >= self._first]
            for number, uses in self._visit.uses.items()
        }

    def _look(self, low: int, high: int, item: Item, uses: Mapping[int, Sequence[Use]]) -> None:
        self._note(list(self._missing(low, high, item, uses)), item)

    def _note(self, missing: list[int], item: Item) -> None:
        if missing:
            spans = tuple(_spans(missing))
            self._series.gaps.append(Gap(self._kind, spans, self._head, head(item), item.docking))

    def _missing(self, low: int, high: int, item: Item, uses: Mapping[int, Sequence[Use]]) -> Iterator[int]:
        for number in range(max(low, 1), high + 1):
            taken = any(self._fills(use, item) for use in uses.get(number, ()))
            if not taken and number not in self._visit.told:
                yield number

    def _fills(self, use: Use, item: Item) -> bool:
        if use.kind == self._kind or not self._apart:
            return True
        if use.at is None or self._head.at is None or item.at is None:
            return True
        return between(use.at, datetime.fromisoformat(self._head.at), item.at, _SLACK)


def _count_apart(uses: Mapping[int, Sequence[Use]]) -> bool:
    """Whether two kinds have one number: then a number of another kind fills a hole only by its time."""
    return any(len({use.kind for use in lot if use.kind in MEDIA}) > 1 for lot in uses.values())


def _late(item: Item, mine: Head, cards: Mapping[str, bool]) -> bool:
    """Whether it was perhaps recorded before: on a card that was never listed whole, by its own time."""
    if cards.get(item.fs_id) or item.at is None or mine.at is None:
        return False
    return item.at <= datetime.fromisoformat(mine.at)


def _newer(item: Item, before: Item) -> bool:
    if item.at and before.at and item.at != before.at:
        return item.at > before.at
    return item.sequence > before.sequence


def _spans(numbers: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Runs of consecutive numbers, in their order."""
    start = numbers[0]
    for number, following in pairwise([*numbers, -1]):
        if following != number + 1:
            yield start, number
            start = following
