"""Whether docking recorders is noticed at all."""

from collections.abc import Callable, Iterable, Iterator

from agent.status.health.issue import Issue, Severity


def hotplug_check(sources: Callable[[], Iterable[tuple[str, bool]]]) -> Callable[[], Iterator[Issue]]:
    """`sources` of events: (name, whether it is alive)."""

    def check() -> Iterator[Issue]:
        for name, alive in sources():
            if not alive:
                key = "udev-unavailable" if name == "udev" else "source-unavailable"
                yield Issue(key, Severity.CRITICAL, {"source": name}, name)

    return check
