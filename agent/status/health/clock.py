"""The station's own clock."""

from collections.abc import Callable, Iterator

from agent.status.health.issue import Issue, Severity


def clock_check(trusted: Callable[[], bool]) -> Callable[[], Iterator[Issue]]:
    def check() -> Iterator[Issue]:
        if not trusted():
            yield Issue("clock-untrusted", Severity.WARNING)

    return check
