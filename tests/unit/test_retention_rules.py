"""Rules only ever lengthen; whether others protect less is told without looking at a clip."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog.retained import Row
from agent.retention.keeping import Keeping
from agent.retention.rules import DAY, Rule, plain, read, ruleset, shortened
from tests.retaining import config

NOW = 1_800_000_000.0
WORDS = ("a", "b", "c")

words = st.frozensets(st.sampled_from(WORDS), max_size=2)
periods = st.sampled_from([0.0, 1.0, 30.0, 31.0, 183.0, 400.0, math.inf]).map(lambda days: days * DAY)
rules = st.builds(
    Rule,
    name=st.just("r"),
    gives=st.just("c"),
    centre=periods,
    local=periods,
    with_case=st.booleans(),
    important=st.none() | st.booleans(),
    category=words,
    unit=words,
    source=words,
    case=st.frozensets(st.sampled_from(["*", "a", "a*", "b"]), max_size=2),
    older_than=st.sampled_from([0.0, 0.0, 20.0, 200.0]).map(lambda days: days * DAY),
)
rows = st.builds(
    lambda important, category, officer, case, closed, confirmed: Row(
        1, "confirmed", "r", officer, "", important, category, case, closed, None, NOW, 1, None, None,
        confirmed, 1, 1, 1, "k",
    ),
    important=st.integers(0, 1),
    category=st.sampled_from(["", *WORDS]),
    officer=st.sampled_from(["", *WORDS]),
    case=st.sampled_from(["", "a", "ab", "b", "z"]),
    closed=st.integers(0, 1),
    confirmed=st.sampled_from([NOW, NOW + 5 * DAY]),
)  # fmt: skip


def kept(some: list[Rule], row: Row, age: float) -> tuple[float, float]:
    """(at the centre, here)"""
    keeping = Keeping(some, (), lambda officer: frozenset(officer), lambda recorder: frozenset("a"))
    now = NOW + age
    return keeping.at_centre(row, NOW, now).until, keeping.here(row, row.confirmed).until


@given(st.lists(rules, min_size=1, max_size=4), rules, rows, st.floats(0, 500 * DAY))
def test_a_further_rule_shortens_nothing(some: list[Rule], more: Rule, row: Row, age: float) -> None:
    before, after = kept(some, row, age), kept([*some, more], row, age)
    for old, new in zip(before, after, strict=True):
        assert new >= old or math.isinf(old)  # what no rule speaks of is kept until one does


@given(st.lists(rules, min_size=1, max_size=4), st.lists(rules, min_size=1, max_size=4), rows, st.data())
def test_rules_that_are_said_to_shorten_nothing_do_not(
    old: list[Rule], new: list[Rule], row: Row, data: st.DataObject
) -> None:
    general = Rule("all", "all", 0.0, 0.0)  # as every station has
    old, new = [general, *old], [general, *new]
    if data.draw(st.booleans()):
        new += old  # else hardly any pair would shorten nothing
    if shortened(old, new):
        return
    age = data.draw(st.floats(0, 500 * DAY))
    for before, after in zip(kept(old, row, age), kept(new, row, age), strict=True):
        # A rule that begins late may come too late for what nothing has protected meanwhile.
        assert after >= before or before <= NOW + age


@given(st.lists(rules, max_size=4))
def test_rules_are_kept_as_they_are(some: list[Rule]) -> None:
    assert [read(told) for told in json.loads(json.dumps([plain(rule) for rule in some]))] == some
    assert shortened(some, some) == []


@pytest.mark.parametrize(
    ("before", "after", "less"),
    [
        ({}, {}, []),
        ({}, {"classes": {"ordinary": {"centre": "184 days"}}}, []),
        ({}, {"classes": {"ordinary": {"centre": "182 days"}}}, ["ordinary"]),
        ({}, {"classes": {"important": {"centre": "50 days"}}}, ["important"]),
        ({}, {"classes": {"case": {"centre": "10000 days"}}}, ["case"]),
        ({}, {"classes": {"case": {"centre": "permanent"}}}, []),
        ({}, {"classes": {"ordinary": {"local": "29 days"}}}, ["ordinary"]),
        (
            {"rules": {"traffic": {"gives": "important", "category": ["traffic", "accident"]}}},
            {"rules": {"traffic": {"gives": "important", "category": "traffic"}}},
            ["traffic"],
        ),
        (
            {"rules": {"traffic": {"gives": "important", "category": "traffic"}}},
            {"rules": {"roads": {"gives": "important", "category": ["traffic", "accident"]}}},
            [],
        ),
        (
            {"rules": {"old": {"gives": "important", "older_than": "100 days"}}},
            {"rules": {"old": {"gives": "important", "older_than": "101 days"}}},
            ["old"],
        ),
        (
            {"rules": {"x": {"gives": "important", "case": "LN-*"}}},
            {"rules": {"x": {"gives": "important", "case": "*"}}},
            [],
        ),
    ],
)
def test_what_a_change_shortens_is_named(
    before: dict[str, Any], after: dict[str, Any], less: list[str]
) -> None:
    found = shortened(ruleset(config(**before)), ruleset(config(**after)))
    assert [rule.name for rule in found] == less
