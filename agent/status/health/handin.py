"""What was handed in late today, and recorders of the roster that nobody docks: a custodian's business."""

from collections.abc import Callable, Iterator, Sequence

from agent.status.health.issue import Issue, Severity

_NAMED = 5


def handin_check(
    late: Callable[[], int], away: Callable[[], Sequence[str]], days: int
) -> Callable[[], Iterator[Issue]]:
    """`late`: clips, today; `away`: recorders that did not dock for `days`."""

    def check() -> Iterator[Issue]:
        if count := late():
            yield Issue("clips-handed-in-late", Severity.INFO, {"count": count})
        if recorders := away():
            named = ", ".join(recorders[:_NAMED]) + (" …" if len(recorders) > _NAMED else "")
            params = {"count": len(recorders), "recorders": named, "days": days}
            yield Issue("recorders-not-docked", Severity.INFO, params)

    return check
