"""Central storage that cannot take clips."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from agent.model import Problem
from agent.status.health.issue import Issue, Severity

#: Waiting alone will not help.
_NEEDS_SOMEBODY = frozenset(
    {
        "target-auth", "target-lost-clips", "target-changed", "target-rejected", "target-no-mark",
        "target-no-bucket", "target-clock", "target-certificate", "credentials-unreadable",
        "credentials-open", "credentials-unusable", "credentials-odd", "target-lock-refused",
    }
)  # fmt: skip


def targets_check(
    names: Callable[[], Sequence[str]], failing: Callable[[], Mapping[str, Problem]]
) -> Callable[[], Iterator[Issue]]:
    """`names` of all configured targets; `failing`: those whose breaker is open, and why."""

    def check() -> Iterator[Issue]:
        if not names():
            yield Issue("no-target", Severity.WARNING)
        for target, problem in failing().items():
            severity = Severity.CRITICAL if problem.key in _NEEDS_SOMEBODY else Severity.WARNING
            yield Issue(problem.key, severity, {**problem.params, "target": target}, target)

    return check
