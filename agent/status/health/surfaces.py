"""Surfaces that people look at and that could not be opened (a taken port, a dead web server)."""

from collections.abc import Callable, Iterator, Sequence

from agent.model import Problem
from agent.status.health.issue import Issue, Severity


def surfaces_check(problems: Callable[[], Sequence[Problem]]) -> Callable[[], Iterator[Issue]]:
    """`problems` as the web server reports them."""

    def check() -> Iterator[Issue]:
        for problem in problems():
            yield Issue(problem.key, Severity.WARNING, problem.params)

    return check
