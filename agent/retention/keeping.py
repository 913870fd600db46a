"""One clip after the other held against rules and holds. What is the same for many is worked out once."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from agent.catalog import holds as legal
from agent.catalog.holds import Hold
from agent.catalog.retained import Row
from agent.retention.decide import Kept, Span, until
from agent.retention.roster import Protecting
from agent.retention.rules import Facts, Rule, matching

#: officer or recorder → what the rosters say of it. Several, when they do not agree over time: each counts.
Look = Callable[[str], frozenset[str]]
NO_ROSTER = Protecting()


class Keeping:
    """`rules`: of every rule set that protects now. Times are seconds since the epoch."""

    def __init__(
        self,
        rules: Iterable[Rule],
        holds: Sequence[Hold] = (),
        units_of: Look = NO_ROSTER.units_of,
        sources_of: Look = NO_ROSTER.sources_of,
    ) -> None:
        self._rules, self._holds = tuple(rules), holds
        self._units_of, self._sources_of = units_of, sources_of
        self._known: dict[tuple[object, ...], _Matched] = {}
        #: Nothing goes from here earlier than so many seconds after its confirmation.
        self.shortest = min((rule.local for rule in self._rules), default=math.inf)

    def matched(self, row: Row) -> "_Matched":
        """Worked out once for all clips of which the same is known."""
        key: tuple[object, ...] = row[2:9]  # from the recorder to whether the case is closed
        known = self._known.get(key)
        if known is None:
            officer = row.labelled_officer or row.officer
            facts = Facts(
                important=bool(row.important),
                category=row.category,
                units=self._units_of(officer),
                sources=self._sources_of(row.recorder),
                case=row.case,
                case_open=not row.case_closed,
            )
            known = self._known[key] = _Matched.of(facts, self._rules)
        return known

    @property
    def holding(self) -> bool:
        """Whether any hold is in force."""
        return bool(self._holds)

    def holds(self, row: Row) -> list[Hold]:
        return legal.covering(row, self._holds) if self._holds else []

    def at_centre(self, row: Row, recorded: float | None, now: float) -> Kept:
        """Without holds. `recorded`: as `retained.began` tells; for ever while nobody knows it."""
        if recorded is None:
            return Kept(math.inf, None)
        return until(self.matched(row).centre, recorded, now)

    def here(self, row: Row, confirmed: float | None) -> Kept:
        """Without holds. `confirmed`: as `retained.confirmed` tells; for ever while nobody knows it. Every
        rule that matches counts from the first day on: a copy that stays too long does no harm."""
        if confirmed is None:
            return Kept(math.inf, None)
        longest = self.matched(row).longest
        return Kept(confirmed + longest.local, longest) if longest else Kept(math.inf, None)


@dataclass(frozen=True, slots=True)
class _Matched:
    """`rules`: those that match, and for how long they protect at the centre; `centre`: the same, as `until`
    wants it; `longest`: the one that keeps a copy here longest."""

    rules: tuple[tuple[Rule, float], ...]
    centre: tuple[Span, ...]
    longest: Rule | None

    @classmethod
    def of(cls, facts: Facts, rules: Iterable[Rule]) -> "_Matched":
        found = [(rule, rule.period(facts)) for rule in matching(facts, rules)]
        spans = sorted(
            ((rule, rule.older_than, last) for rule, last in found), key=lambda one: (one[1], -one[2])
        )
        return cls(
            tuple(found),
            tuple(spans),
            max((rule for rule, _ in found), key=lambda one: one.local, default=None),
        )
