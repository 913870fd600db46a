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
    docking: int

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
    return Head(item.sequence, item.clip, item.at.isoformat() if item.at else None, item.docking)


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
    series = Series(dict(heads), max([top, *(item.sequence for item in items)]))
    fresh = newest(items)
    for kind, group in groupby(items, key=lambda item: item.kind):
        lot, mine = list(group), heads.get(kind)
        if mine is None:  # the first of its kind: what came before is not judged
            series.heads[kind] = fresh[kind]
            continue
        others = [one for other, one in heads.items() if other != kind and one.docking >= mine.docking]
        _Follower(series, visit, kind, mine, others).follow([i for i in lot if not _late(i, mine, cards)])
    if series.back:  # what shares the counter has gone back with it, what does not is learned anew
        series.heads = {kind: one for kind, one in series.heads.items() if kind in fresh}
    return series


@dataclass(frozen=True, slots=True)
class _Round:
    """What is known of the numbers of one round."""

    uses: Mapping[int, Sequence[Use]]
    told: frozenset[int] = frozenset()


class _Follower:
    """One kind of recording through one visit."""

    def __init__(self, series: Series, visit: Visit, kind: str, mine: Head, others: Sequence[Head]) -> None:
        """`others`: heads of other kinds that came with this one's, or later."""
        self._series, self._kind = series, kind
        self._head, self._others = mine, others
        self._first = min(item.clip for item in visit.items)
        self._apart = _count_apart(visit.uses)
        self._numbers = int(10 ** max(3, len(str(series.top))))  # of a whole round, 0 included
        self._old = _Round(visit.uses, visit.told)
        self._new = _Round(
            {n: [use for use in uses if use.clip >= self._first] for n, uses in visit.uses.items()}
        )

    def follow(self, items: list[Item]) -> None:
        ahead, anew, along, back = self._parted(items)
        self._walk(ahead, self._old)
        if anew:
            self._series.since = self._first
            self._turn(anew[0])
            self._walk(anew[1:], self._new)
        if along:  # the other kinds' counter, which this one shares, began anew before
            self._head = head(along[-1])
        if back:
            self._series.back[self._kind] = Back(self._head, tuple(back))
            self._series.since = self._first
            self._head = head(back[0])
            self._walk(back[1:], self._new)
        self._series.heads[self._kind] = self._head

    def _parted(self, items: Iterable[Item]) -> tuple[list[Item], list[Item], list[Item], list[Item]]:
        """(ahead of the head, in a new round, along with another kind, gone back), each by number."""
        ahead, anew, along, back = [], [], [], []
        mine = reach = self._head
        for item in sorted(items, key=lambda item: (item.sequence, item.clip)):
            if item.sequence == mine.sequence:
                continue  # front and rear camera, or one more name
            near = self._is_near(reach, item)
            if item.sequence > mine.sequence:
                ahead.append(item)
            elif near and not self._is_anew_already(item):
                anew.append(item)
                reach = head(item)
            elif near or self._goes_along(item):
                along.append(item)
            else:
                back.append(item)
        return ahead, anew, along, back

    def _is_anew_already(self, item: Item) -> bool:
        """Whether another kind's counter began its new round in an earlier visit: then what was used of
        either round is not in one place."""
        return any(one.sequence <= item.sequence and self._is_near(one, item) for one in self._others)

    def _goes_along(self, item: Item) -> bool:
        """Whether it continues another kind that came later than this one did."""
        return any(one.docking > self._head.docking and self._is_near(one, item) for one in self._others)

    def _is_near(self, start: Head, item: Item) -> bool:
        """In the direction of the counter."""
        return (item.sequence - start.sequence) % self._numbers <= self._numbers // _NEAR

    def _walk(self, items: Sequence[Item], known: _Round) -> None:
        for item in items:
            self._note(list(self._missing(self._head.sequence + 1, item.sequence, item, known)), item)
            self._head = head(item)

    def _turn(self, first: Item) -> None:
        """From the end of one round to the first of the next."""
        old = self._missing(self._head.sequence + 1, self._numbers, first, self._old)
        self._note([*old, *self._missing(1, first.sequence, first, self._new)], first)
        self._head = head(first)

    def _note(self, missing: list[int], item: Item) -> None:
        if missing:
            spans = tuple(_spans(missing))
            self._series.gaps.append(Gap(self._kind, spans, self._head, head(item), item.docking))

    def _missing(self, low: int, end: int, item: Item, known: _Round) -> Iterator[int]:
        """Numbers from `low` to before `end` that nothing has; 0 is left out in some rounds."""
        for number in range(max(low, 1), end):
            taken = any(self._fills(use, item) for use in known.uses.get(number, ()))
            if not taken and number not in known.told:
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
