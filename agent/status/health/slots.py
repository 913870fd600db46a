"""Recorders that stand in the rack and need a person."""

import time
from collections.abc import Callable, Iterator, Sequence

from agent.model import SlotState, SlotStatus
from agent.status.health.issue import Issue, Severity

_LONG = 2 * 3600.0  # seconds
#: Ended, and not collected.
_OVER = frozenset({SlotState.INCOMPLETE, SlotState.FAILED, SlotState.STUCK, SlotState.OUT_OF_USE})
_NOTHING = frozenset({SlotState.EMPTY, SlotState.COLLECTED})
_UNKNOWN, _REFUSED, _TURNED_AWAY = "unknown-recorder", "refused-device", "slot-out-of-use"


def slots_check(
    slots: Callable[[], Sequence[SlotStatus]], on_roster: Callable[[str], bool]
) -> Callable[[], Iterator[Issue]]:
    """`on_roster`: whether the roster in force knows a recorder today; all, without a roster."""

    def check() -> Iterator[Issue]:
        for slot in slots():
            params = {"slot": slot.slot, "recorder": slot.recorder}
            if _is_stuck(slot):
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
            if slot.state in _NOTHING or _has(slot, _REFUSED) or _is_stuck(slot) or _is_out_of_use(slot):
                continue
            if slot.state not in _OVER and slot.slot not in before:
                continue  # its first try goes on
            since = self._since[slot.slot] = before.get(slot.slot, now)
            if now - since > _LONG and slot.state in _OVER:
                params = {"slot": slot.slot, "recorder": slot.recorder, "seconds": round(now - since)}
                yield Issue("recorder-uncollected", Severity.WARNING, params, slot.slot)


def _is_stuck(slot: SlotStatus) -> bool:
    """As an issue of its own: somebody who has the slot stopped knows of it."""
    return slot.state is SlotState.STUCK and slot.out_of_use is None


def _is_out_of_use(slot: SlotStatus) -> bool:
    """And has no recorder in it that somebody should take elsewhere."""
    return slot.state is SlotState.OUT_OF_USE and not _has(slot, _TURNED_AWAY)


def _has(slot: SlotStatus, key: str) -> bool:
    return any(problem.key == key for problem in slot.problems)
