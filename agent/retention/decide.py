"""Until when a clip is kept, by the rules that match it. Pure."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from agent.retention.rules import Rule

Span = tuple[Rule, float, float]  # a rule, and the ages in seconds from which and up to which it protects


class Kept(NamedTuple):
    """`until` is in seconds since the epoch, `math.inf` for ever. `by`: the rule that ends last; None: no
    rule speaks of the clip, and what nothing speaks of is kept."""

    until: float
    by: Rule | None


def until(spans: Sequence[Span], begin: float, now: float) -> Kept:
    """What is protected now stays so until no rule follows on without a gap; of what is not protected, when
    that ended. `spans` in the order in which they begin, of those that begin together the longest first."""
    if not spans:
        return Kept(math.inf, None)
    end, by = begin, spans[0][0]
    for rule, first, last in spans:
        if begin + last > end and begin + first <= max(end, now):
            end, by = begin + last, rule
    return Kept(end, by)
