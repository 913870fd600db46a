"""What is missing of a recorder's recordings: rules over what was known of it and what one visit brought.

Pure functions over plain facts. A finding says that something is unexplained at this station, and holds the
facts that it rests on; it never says "lost". What is in doubt is no finding: a clock that was reset, a kind
of recording with a counter of its own, a card that nobody has seen whole before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from agent.catalog.findings import MOST_NUMBERS, Finding, listed
from agent.catalog.visits import Docking, Gone, Item, Visit
from agent.custody.completeness import counter, segments
from agent.custody.completeness.counter import Head

#: Seconds between the end of one docking and the next in the same slot: another part of one recorder, and not
#: another card, which nobody changes that fast.
TOGETHER = 15.0
MOST = 64  # findings of one visit
_CARDS = 32  # that are remembered


@dataclass(frozen=True, slots=True)
class Known:
    """What this station knows of a recorder once its last visit was judged."""

    clip: int = 0  # the last one that was looked at
    since: int = 0  # the first clip of the present round of the counter
    top: int = 0  # the highest number ever
    heads: Mapping[str, Head] = field(default_factory=dict)  # kind → the newest recording
    cards: Mapping[str, bool] = field(default_factory=dict)  # fs_id → whether it was ever listed whole
    last: Docking | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    known: Known
    findings: tuple[Finding, ...] = ()


def judge(known: Known | None, visit: Visit) -> Verdict:
    """`known` is None at the first docking of a recorder at this station: what came before it is not
    judged."""
    whole = any(docking.listed for docking in visit.dockings)
    if known is None or not (known.heads or any(known.cards.values())):  # never was a card of it listed whole
        known = known or Known()
        return Verdict(_met(_learned(known, visit) if whole else known, visit))
    found = [*_cards(known, visit), *_gone(visit)]
    if whole:
        series = counter.follow(known.heads, known.top, known.cards, visit)
        found += [*_back(visit, series), *_gaps(visit, series), *_times(visit)]
        clip = max((item.clip for item in visit.items), default=known.clip)
        since = series.since or known.since
        known = replace(known, clip=max(clip, known.clip), since=since, top=series.top, heads=series.heads)
    return Verdict(_met(known, visit), _bounded(found))


def _learned(known: Known, visit: Visit) -> Known:
    return replace(
        known,
        clip=max((item.clip for item in visit.items), default=0),
        top=max((item.sequence for item in visit.items), default=0),
        heads=counter.newest(visit.items),
    )


def _met(known: Known, visit: Visit) -> Known:
    """Its cards and its last docking."""
    cards = dict(known.cards)
    for docking in visit.dockings:
        before = cards.pop(docking.fs_id, False)
        cards[docking.fs_id] = before or docking.listed
    kept = dict(list(cards.items())[-_CARDS:])
    return replace(known, cards=kept, last=visit.dockings[-1] if visit.dockings else known.last)


def _cards(known: Known, visit: Visit) -> Iterator[Finding]:
    """A card that this recorder never showed here before. One that comes back is none: then the numbers tell
    whether something is missing."""
    met, last = set(known.cards), known.last
    for docking in visit.dockings:
        if last is not None and docking.fs_id not in met and not _together(last, docking):
            facts = {
                "was": last.fs_id,
                "now": docking.fs_id,
                "uncollected": visit.waiting.get(last.fs_id, 0),
                **_span(visit, known.heads, docking),
            }
            yield Finding("card-changed", docking.id, facts)
        met.add(docking.fs_id)
        last = docking


def _together(last: Docking, docking: Docking) -> bool:
    return docking.slot == last.slot and -1 <= docking.started - last.ended <= TOGETHER


def _span(visit: Visit, heads: Mapping[str, Head], docking: Docking) -> dict[str, Any]:
    """Between which recordings it happened."""
    newest = max(heads.values(), key=lambda head: head.clip, default=None)
    first = min(
        (item for item in visit.items if item.fs_id == docking.fs_id and item.at), key=_when, default=None
    )
    return {
        "after": newest.told() if newest else None,
        "before": counter.head(first).told() if first else None,
    }


def _when(item: Item) -> datetime:
    assert item.at is not None
    return item.at


def _gone(visit: Visit) -> Iterator[Finding]:
    """What was on a card and is not any more: never collected (`vanished`), or collected (`card-emptied`)."""
    for rule, collected in (("vanished", False), ("card-emptied", True)):
        cards: dict[tuple[int, str], list[Gone]] = {}
        for one in visit.gone:
            if one.collected is collected:
                cards.setdefault((one.docking, one.fs_id), []).append(one)
        for (docking, fs_id), lot in cards.items():
            yield Finding(rule, docking, {"fs_id": fs_id, **listed(lot)})


def _back(visit: Visit, series: counter.Series) -> Iterator[Finding]:
    """One, also where several kinds went back: they share a counter, or were reset together."""
    if not series.back:
        return
    items = sorted(
        (item for back in series.back.values() for item in back.items), key=lambda item: item.sequence
    )
    before = max((back.head for back in series.back.values()), key=lambda head: head.clip)
    facts = {
        "kind": ", ".join(series.back),
        "after": before.told(),
        "before": counter.head(items[0]).told(),
        "numbers": [[items[0].sequence, items[-1].sequence]],
        "count": len({item.sequence for item in items}),
    }
    yield Finding("counter-back", items[0].docking, facts)


def _gaps(visit: Visit, series: counter.Series) -> Iterator[Finding]:
    for gap in series.gaps:
        facts = {
            "kind": gap.kind,
            "numbers": [list(span) for span in gap.spans[:MOST_NUMBERS]],
            "count": sum(last - first + 1 for first, last in gap.spans),
            "after": gap.after.told(),
            "before": gap.before.told(),
        }
        yield Finding("sequence-gap", gap.docking, facts)


def _times(visit: Visit) -> Iterator[Finding]:
    for gap in segments.gaps(visit.items):
        facts = {
            "kind": gap.before.kind,
            "seconds": gap.seconds,
            "segment_seconds": gap.segment,
            "after": {**counter.head(gap.after).told(), "ended": gap.ended.isoformat()},
            "before": counter.head(gap.before).told(),
        }
        yield Finding("time-gap", gap.before.docking, facts)


def _bounded(found: list[Finding]) -> tuple[Finding, ...]:
    """The last of too many says how many were left out."""
    if len(found) <= MOST:
        return tuple(found)
    last = found[MOST - 1]
    more = replace(last, facts={**last.facts, "more": len(found) - MOST})
    return (*found[: MOST - 1], more)
