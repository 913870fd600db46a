"""Recorders that stand in the rack and need a person."""

import time
from collections.abc import Callable, Iterator, Sequence

from agent.model import SlotState, SlotStatus
from agent.status.health.issue import Issue, Severity

_LONG = 2 * 3600.0  # seconds
_OVER = frozenset({SlotState.INCOMPLETE, SlotState.FAILED})  # ended, and not collected
_NOTHING = frozenset({SlotState.EMPTY, SlotState.COLLECTED, SlotState.STUCK})
_UNKNOWN, _REFUSED = "unknown-recorder", "refused-device"


def slots_check(
    slots: Callable[[], Sequence[SlotStatus]], on_roster: Callable[[str], bool]
) -> Callable[[], Iterator[Issue]]:
    """`on_roster`: whether the roster in force knows a recorder today; all, without a roster."""

    def check() -> Iterator[Issue]:
        for slot in slots():
            params = {"slot": slot.slot, "recorder": slot.recorder}
            if slot.state is SlotState.STUCK:
                yield Issue("slot-stuck", Severity.WARNING, params, slot.slot)
            elif _has(slot, _UNKNOWN):
                yield Issue("recorder-unknown", Severity.WARNING, {"slot": slot.slot}, slot.slot)
            elif slot.recorder and not on_roster(slot.recorder):
                yield Issue("recorder-not-on-roster", Severity.WARNING, params, slot.slot)

    return check


class Uncollected:
    """Since when each slot holds a recorder that was given up. It is tried again and again meanwhile, which
    is no new beginning; being pulled, or collected, is."""

    def __init__(
        self, slots: Callable[[], Sequence[SlotStatus]], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._slots = slots
        self._monotonic = monotonic
        self._since: dict[str, float] = {}

    def __call__(self) -> Iterator[Issue]:
        now, slots = self._monotonic(), self._slots()
        before, self._since = self._since, {}
        for slot in slots:
            if slot.state in _NOTHING or _has(slot, _REFUSED):
                continue
            if slot.state not in _OVER and slot.slot not in before:
                continue  # its first try goes on
            since = self._since[slot.slot] = before.get(slot.slot, now)
            if now - since > _LONG and slot.state in _OVER:
                params = {"slot": slot.slot, "recorder": slot.recorder, "seconds": round(now - since)}
                yield Issue("recorder-uncollected", Severity.WARNING, params, slot.slot)


def _has(slot: SlotStatus, key: str) -> bool:
    return any(problem.key == key for problem in slot.problems)
