"""What was found when all that is stored was read again."""

from collections.abc import Callable, Iterator

from agent.model import Problem
from agent.status.health.issue import Issue, Severity


def scrub_check(
    problem: Callable[[], Problem | None], rotten: Callable[[], int], behind: Callable[[], float | None]
) -> Callable[[], Iterator[Issue]]:
    """`rotten`: how many confirmed clips are not whole here and could not be fetched yet. `behind`:
    seconds since the longest unread clip was read, when that is too long."""

    def check() -> Iterator[Issue]:
        if found := problem():
            yield Issue(found.key, Severity.CRITICAL, found.params)
        if count := rotten():
            yield Issue("clips-rotten", Severity.CRITICAL, {"count": count})
        if (seconds := behind()) is not None:
            yield Issue("scrub-behind", Severity.WARNING, {"seconds": seconds})

    return check
