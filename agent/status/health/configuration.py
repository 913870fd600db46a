"""A configuration file that was changed and is not (wholly) in force."""

from collections.abc import Callable, Iterator, Sequence

from agent.status.health.issue import Issue, Severity


def configuration_check(
    faults: Callable[[], Sequence[str]], restart_needed: Callable[[], Sequence[str]]
) -> Callable[[], Iterator[Issue]]:
    """`faults` of the newest file, worded; `restart_needed`: changed settings that need a restart."""

    def check() -> Iterator[Issue]:
        if wrong := list(faults()):
            params = {"count": len(wrong), "first": wrong[0], "faults": wrong}
            yield Issue("config-invalid", Severity.WARNING, params)
        if settings := sorted(restart_needed()):
            yield Issue("config-restart-needed", Severity.WARNING, {"settings": settings})

    return check
