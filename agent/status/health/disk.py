"""Room on the station's disk."""

from collections.abc import Callable, Iterator

from agent.status.health.issue import Issue, Severity

#: The warning comes while this share of the disk is still above the reserve: about a day's work.
_NEAR = 0.05
_SOON = 3  # days: enough to bring another station


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


def filling_check(filling: Callable[[], tuple[int, int | None] | None]) -> Callable[[], Iterator[Issue]]:
    """`filling` tells the bytes that come in a day, and the days until the disk is full."""

    def check() -> Iterator[Issue]:
        per_day, days = filling() or (0, None)
        if days is not None and 0 < days < _SOON:  # 0: it is full
            yield Issue("disk-full-soon", Severity.WARNING, {"days": days, "per_day": per_day})

    return check
