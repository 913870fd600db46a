"""What a slot's tile says: one step for each state, told further by what else is known."""

from agent.model import Condition, Doing, SlotState, SlotStatus, Step

_DOING = {Doing.QUEUED: Step.QUEUED, Doing.VERIFYING: Step.VERIFYING, Doing.ERASING: Step.ERASING}
# Less is not enough to go on duty with.
_BATTERY = 80  # percent
_FREE = 0.5  # of the card
_CLOCK = 60.0  # seconds


def step(slot: SlotStatus, confirmed: bool) -> Step:
    """`confirmed`: the centre has all that lies on the recorder."""
    if slot.state is SlotState.EMPTY and slot.pulled:
        return Step.PULLED_EARLY
    if slot.state is SlotState.COLLECTING and slot.doing:
        return _DOING.get(slot.doing, Step.COLLECTING)
    if slot.state is SlotState.COLLECTED and slot.emptied:
        return Step.ERASED
    if slot.state is SlotState.COLLECTED and confirmed:
        return Step.CONFIRMED
    return Step(slot.state.value)


def fit(condition: Condition) -> bool | None:
    """Whether a recorder may be taken on duty: False as soon as something speaks against it, None while
    something is not known."""
    battery, free, total, clock = condition.battery, condition.free, condition.total, condition.clock_off
    found = (
        None if battery is None else battery >= _BATTERY,
        None if free is None or not total else free >= _FREE * total,
        None if clock is None else abs(clock) <= _CLOCK,
    )
    return False if False in found else None if None in found else True
