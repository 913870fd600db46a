"""Clips that need a person."""

from collections.abc import Callable, Iterator, Mapping

from agent.model import ClipState
from agent.status.health.issue import Issue, Severity

_WATCHED = {
    ClipState.QUARANTINED: Severity.CRITICAL,
    ClipState.MISSING: Severity.WARNING,
    ClipState.REJECTED: Severity.WARNING,
}


def clips_check(counts: Callable[[], Mapping[str, int]]) -> Callable[[], Iterator[Issue]]:
    def check() -> Iterator[Issue]:
        now = counts()
        for state, severity in _WATCHED.items():
            if count := now.get(state, 0):
                yield Issue(f"clips-{state.value}", severity, {"count": count})

    return check
