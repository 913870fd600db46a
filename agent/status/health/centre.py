"""What central storage does not know of this station, and what it lost that was here no more."""

from collections.abc import Callable, Iterable, Iterator, Mapping

from agent.model import Problem
from agent.status.health.issue import Issue, Severity

_IN_DANGER = frozenset({"station-id-twice"})


def centre_check(
    untold: Callable[[], Iterable[tuple[str, Problem]]], lost: Callable[[], Mapping[str, int]]
) -> Callable[[], Iterator[Issue]]:
    """`untold`: (target, what is wrong); `lost`: how many released clips a target was found without."""

    def check() -> Iterator[Issue]:
        for target, clips in lost().items():
            yield Issue("lost-after-release", Severity.CRITICAL, {"target": target, "clips": clips}, target)
        for target, problem in untold():
            severity = Severity.CRITICAL if problem.key in _IN_DANGER else Severity.WARNING
            yield Issue(problem.key, severity, {**problem.params, "target": target}, target)

    return check
