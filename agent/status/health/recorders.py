"""Recorders whose clock is wrong, for certain: whoever hands them out may set them."""

from collections.abc import Callable, Iterator, Sequence

from agent.status.health.issue import Issue, Severity

_NAMED = 5


def clocks_check(wrong: Callable[[], Sequence[str]]) -> Callable[[], Iterator[Issue]]:
    """`wrong`: the numbers of these recorders."""

    def check() -> Iterator[Issue]:
        if recorders := wrong():
            named = ", ".join(recorders[:_NAMED]) + (" …" if len(recorders) > _NAMED else "")
            yield Issue("recorder-clocks-off", Severity.INFO, {"count": len(recorders), "recorders": named})

    return check
