"""What may go from this station, and does."""

from collections.abc import Callable, Iterator

from agent.model import Problem
from agent.status.health.issue import Issue, Severity


def retention_check(problem: Callable[[], Problem | None]) -> Callable[[], Iterator[Issue]]:
    def check() -> Iterator[Issue]:
        if found := problem():
            yield Issue(found.key, Severity.WARNING, found.params)

    return check
