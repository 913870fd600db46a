"""Clips that are not at the centre when they should be."""

from collections.abc import Callable, Iterator

from agent.status.health.issue import Issue, Severity


def deadline_check(
    overdue: Callable[[], int], deadline: Callable[[], float]
) -> Callable[[], Iterator[Issue]]:
    """`overdue` clips are past the `deadline` (seconds after docking)."""

    def check() -> Iterator[Issue]:
        if count := overdue():
            yield Issue("clips-overdue", Severity.WARNING, {"count": count, "deadline": deadline()})

    return check
