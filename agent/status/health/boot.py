"""What went wrong while a station image made this station, and a data disk that cannot be used."""

from collections.abc import Callable, Iterator, Sequence

from agent.model import Problem
from agent.status.health.issue import Issue, Severity

_IN_DANGER = frozenset({"identity-damaged", "secret-not-equal", "boot-partition-missing"})


def boot_check(
    problems: Callable[[], Sequence[Problem]], data_problem: Callable[[], str]
) -> Callable[[], Iterator[Issue]]:
    """`problems` of the boot step; `data_problem`: one of `agent.booted.DATA_WORDS`, or ""."""

    def check() -> Iterator[Issue]:
        if word := data_problem():
            yield Issue(f"data-disk-{word}", Severity.CRITICAL)
        for problem in problems():
            severity = Severity.CRITICAL if problem.key in _IN_DANGER else Severity.WARNING
            subject = " ".join(f"{name}={value}" for name, value in sorted(problem.params.items()))
            yield Issue(problem.key, severity, problem.params, subject)

    return check
