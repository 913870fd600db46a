"""What is unexplained about recorders' recordings. It waits for a custodian, and alarms nobody."""

from collections.abc import Callable, Iterator, Mapping

from agent.status.health.issue import Issue, Severity


def findings_check(
    open_now: Callable[[], int], failing: Callable[[], Mapping[str, str]]
) -> Callable[[], Iterator[Issue]]:
    """`failing`: recorders whose docking could not be judged, and why."""

    def check() -> Iterator[Issue]:
        for recorder, error in failing().items():
            yield Issue("not-judged", Severity.WARNING, {"recorder": recorder, "error": error}, recorder)
        if count := open_now():
            yield Issue("findings-open", Severity.INFO, {"count": count})

    return check
