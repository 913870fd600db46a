"""One clip after the other held against rules and holds. What is the same for many is worked out once."""

import math
from collections.abc import Callable, Iterable, Sequence

from agent.catalog import holds as legal
from agent.catalog.holds import Hold
from agent.catalog.retained import Row
from agent.retention.decide import Kept, until
from agent.retention.rules import Facts, Rule, matching

#: officer or recorder → what the roster says of it
Look = Callable[[str], str]


def nobody(officer: str) -> str:
    """Without a roster."""
    return ""


def recorder(number: str) -> str:
    """Without a roster."""
    return "recorder"


class Keeping:
    """`rules`: of every rule set that protects now. Times are seconds since the epoch."""

    def __init__(
        self,
        rules: Iterable[Rule],
        holds: Sequence[Hold] = (),
        unit_of: Look = nobody,
        source_of: Look = recorder,
    ) -> None:
        self._rules, self._holds = tuple(rules), holds
        self._unit_of, self._source_of = unit_of, source_of
        self._matching: dict[Facts, list[Rule]] = {}

    def facts(self, row: Row) -> Facts:
        return Facts(
            important=bool(row.important),
            category=row.category,
            unit=self._unit_of(row.labelled_officer or row.officer),
            source=self._source_of(row.recorder),
            case=row.case,
            case_open=not row.case_closed,
        )

    def matching(self, facts: Facts) -> list[Rule]:
        if facts not in self._matching:
            self._matching[facts] = matching(facts, self._rules)
        return self._matching[facts]

    def holds(self, row: Row) -> list[Hold]:
        return legal.covering(row, self._holds)

    def at_centre(self, row: Row, recorded: float | None, now: float) -> Kept:
        """Without holds. `recorded`: as `retained.began` tells; for ever while nobody knows it."""
        if recorded is None:
            return Kept(math.inf, None)
        facts = self.facts(row)
        spans = [(rule, rule.older_than, rule.period(facts)) for rule in self.matching(facts)]
        return until(spans, recorded, now)

    def here(self, row: Row, confirmed: float | None, now: float) -> Kept:
        """Without holds. `confirmed`: as `retained.confirmed` tells; for ever while nobody knows it. Every
        rule that matches counts from the first day on: a copy that stays too long does no harm."""
        if confirmed is None:
            return Kept(math.inf, None)
        spans = [(rule, 0.0, rule.local) for rule in self.matching(self.facts(row))]
        return until(spans, confirmed, now)
