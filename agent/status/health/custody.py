"""The station's log: whether it goes on, and whether it broke."""

from collections.abc import Callable, Iterable, Iterator

from agent.model import Problem
from agent.status.health.issue import Issue, Severity

#: The log does not hold what it should, or proves nothing.
_IN_DANGER = frozenset({"log-ahead", "log-differs", "log-damaged", "log-gap", "log-key-open", "log-off"})


def custody_check(problems: Callable[[], Iterable[Problem]]) -> Callable[[], Iterator[Issue]]:
    def check() -> Iterator[Issue]:
        for problem in problems():
            severity = Severity.CRITICAL if problem.key in _IN_DANGER else Severity.WARNING
            yield Issue(problem.key, severity, dict(problem.params))

    return check
