"""The catalog after an unclean stop."""

from collections.abc import Callable, Iterator, Sequence

from agent.status.health.issue import Issue, Severity


def catalog_check(
    checking: Callable[[], bool], damage: Callable[[], Sequence[str]]
) -> Callable[[], Iterator[Issue]]:
    """`checking`: quick_check still runs; `damage`: what it found."""

    def check() -> Iterator[Issue]:
        if found := list(damage()):
            yield Issue("catalog-damaged", Severity.CRITICAL, {"reason": found[0], "count": len(found)})
        elif checking():
            yield Issue("catalog-checking", Severity.WARNING)

    return check
