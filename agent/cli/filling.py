"""When the disk will be full, in a sentence."""

from agent.retention.forecast import AHEAD
from agent.words import fill, word


def filling(per_day: float, days: int | None, language: str) -> str:
    """`days`: None when it is not full within AHEAD days."""
    key = "not_full" if days is None else "full_in"
    return fill(word("page", key, language), {"per_day": per_day, "days": days, "within": AHEAD})
