"""Room on the station's disk."""

from collections.abc import Callable, Iterator

from agent.status.health.issue import Issue, Severity

#: The warning comes while this share of the disk is still above the reserve: about a day's work.
_NEAR = 0.05


def disk_check(
    disk: Callable[[], tuple[int, int, int]],
    refused: Callable[[], bool] = lambda: False,
    making_room: Callable[[], bool] = lambda: False,
) -> Callable[[], Iterator[Issue]]:
    """`disk` tells (free, total, reserve) in bytes; `refused`: whether recorders found no room of late;
    `making_room`: whether local copies go, so that it passes."""

    def check() -> Iterator[Issue]:
        free, total, reserve = disk()
        params = {"free": free, "total": total, "reserve": reserve}
        if free <= reserve or refused():
            kind = "making-room" if making_room() else "nothing-goes"
            yield Issue("store-full", Severity.CRITICAL, {**params, "kind": kind})
        elif free <= reserve + total * _NEAR:
            yield Issue("disk-low", Severity.WARNING, params)

    return check
