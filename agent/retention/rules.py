"""Rules as data: each protects the clips that it matches, for a period at the centre and one on this disk.

Where several match, the longest wins: a rule can only lengthen what others give. So whether a rule set
protects less than another is told rule by rule, without looking at a single clip.
"""

import fnmatch
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from agent.config import RetentionConfig

DAY = 86400.0


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules look at of one clip."""

    important: bool  # by the recorder's mark or by label
    category: str = ""
    units: frozenset[str] = frozenset()  # of the officer, by the roster
    sources: frozenset[str] = frozenset({"recorder"})
    case: str = ""  # number of the case that it is evidence in
    case_open: bool = True


@dataclass(frozen=True, slots=True)
class Rule:
    """An empty condition matches everything. Periods in seconds, `math.inf` for ever."""

    name: str
    gives: str  # the class
    centre: float  # from the recording on
    local: float  # from the confirmation on
    with_case: bool = False  # for ever while the case is open, not at all when it is closed
    important: bool | None = None
    category: frozenset[str] = frozenset()
    unit: frozenset[str] = frozenset()
    source: frozenset[str] = frozenset()
    case: frozenset[str] = frozenset()  # patterns; `*` is any number, but not none
    older_than: float = 0.0  # seconds since the recording from which on it protects

    def matches(self, facts: Facts) -> bool:
        """Whatever the recording's age: when a rule begins is a matter of its period."""
        return (
            (self.important is None or self.important == facts.important)
            and (not self.category or facts.category in self.category)
            and (not self.unit or not self.unit.isdisjoint(facts.units))
            and (not self.source or not self.source.isdisjoint(facts.sources))
            and (not self.case or _fits(facts.case, self.case))
            and (not self.with_case or bool(facts.case))
        )

    def period(self, facts: Facts) -> float:
        """At the centre, of a clip that it matches."""
        return self.centre if not self.with_case or facts.case_open else 0.0

    def covers(self, other: "Rule") -> bool:
        """Whether every clip that `other` protects is protected by this one at least as long."""
        return (
            self._gives_as_much(other)
            and self.older_than <= other.older_than
            and (self.important is None or self.important == other.important)
            and _includes(self.category, other.category)
            and _includes(self.unit, other.unit)
            and _includes(self.source, other.source)
            and (_includes(self.case, other.case) or (bool(other.case) and "*" in self.case))
        )

    def _gives_as_much(self, other: "Rule") -> bool:
        if self.local < other.local:
            return False
        if self.with_case:  # ends with the case: only another one that does gives no more
            return other.with_case
        return self.centre >= (math.inf if other.with_case else other.centre)


RuleSet = tuple[Rule, ...]
_SETS = ("category", "unit", "source", "case")
_PERIODS = ("centre", "local")


def plain(rule: Rule) -> dict[str, Any]:
    """As JSON has it: only what is said; for ever is null."""
    said = [each for each in fields(rule) if getattr(rule, each.name) != each.default]
    told = {each.name: getattr(rule, each.name) for each in said}
    told |= {name: sorted(told[name]) for name in _SETS if name in told}
    return told | {name: None for name in _PERIODS if told[name] == math.inf}


def read(told: Mapping[str, Any]) -> Rule:
    """The inverse. Raises TypeError for what this version does not know."""
    sets = {name: frozenset(told[name]) for name in _SETS if name in told}
    periods = {name: math.inf if told[name] is None else float(told[name]) for name in _PERIODS}
    return Rule(**{**told, **sets, **periods})


def ruleset(config: RetentionConfig) -> RuleSet:
    """What the configuration says, the rules that every station has first."""
    return tuple(
        Rule(
            name=name,
            gives=rule.gives,
            centre=config.every_class[rule.gives].seconds,
            local=config.every_class[rule.gives].local,
            with_case=config.every_class[rule.gives].with_case,
            important=rule.important,
            category=frozenset(rule.category),
            unit=frozenset(rule.unit),
            source=frozenset(rule.source),
            case=frozenset(rule.case),
            older_than=rule.older_than,
        )
        for name, rule in config.every_rule.items()
    )


def matching(facts: Facts, rules: Iterable[Rule]) -> list[Rule]:
    return [rule for rule in rules if rule.matches(facts)]


def shortened(old: Iterable[Rule], new: Iterable[Rule]) -> list[Rule]:
    """The rules of `old` whose protection no rule of `new` gives whole: empty only if `new` protects every
    clip, those to come as well, at least as long. Several new rules that only together do are told, too."""
    news = tuple(new)
    return [rule for rule in old if not any(other.covers(rule) for other in news)]


def _fits(case: str, patterns: frozenset[str]) -> bool:
    return bool(case) and any(fnmatch.fnmatchcase(case, pattern) for pattern in patterns)


def _includes(ours: frozenset[str], theirs: frozenset[str]) -> bool:
    return not ours or (bool(theirs) and ours >= theirs)
