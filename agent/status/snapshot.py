"""One look at the whole station, asked of each room anew and put together as plain data."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from agent.model import ClipState, SlotState, SlotStatus, printable
from agent.status.health import Issue
from agent.status.plain import plain
from agent.status.shape import AcknowledgedShape, DutyShape, IssueShape, PulledShape, SlotShape, StatusShape
from agent.status.slots import fit, step


@dataclass(frozen=True, slots=True)
class Sources:
    """Whom to ask. Every callable answers within milliseconds and never waits for a recorder or a
    target: each open page asks once a second."""

    station: str
    version: str
    started: float  # time.monotonic() at the agent's start
    slots: Callable[[], Sequence[SlotStatus]]  # in the cabinet's order
    clip_counts: Callable[[], Mapping[str, int]]
    queue: Callable[[], tuple[int, int]]  # (clips, bytes) waiting for upload
    disk: Callable[[], tuple[int, int, int]]  # (free, total, reserve) in bytes
    clock_trusted: Callable[[], bool]
    #: (bytes that come in a day, days until only the reserve is free; None: not for months); None: not known
    filling: Callable[[], tuple[int, int | None] | None]
    health: Callable[[], Sequence[Issue]]
    findings: Callable[[], int]  # that nobody has explained
    waiting_for: Callable[[], Sequence[str]]  # what must come up before READY; empty when ready
    #: Slot → since when the centre has all that lies in it; only those of which it has
    confirmed: Callable[[Sequence[SlotStatus]], Mapping[str, float]] = lambda slots: {}
    #: Whether a recorder is on the roster; None: none is in force
    registered: Callable[[str], bool | None] = lambda recorder: None


def snapshot(sources: Sources) -> StatusShape:
    waiting_for = [printable(part) for part in sources.waiting_for()]
    counts = sources.clip_counts()
    clips, size = sources.queue()
    free, total, reserve = sources.disk()
    per_day, full_in = sources.filling() or (None, None)
    slots = sources.slots()
    confirmed = sources.confirmed(slots)
    return {
        "station": printable(sources.station),
        "version": sources.version,
        "ready": not waiting_for,
        "waiting_for": waiting_for,
        "uptime_seconds": round(time.monotonic() - sources.started, 1),
        "clock_trusted": sources.clock_trusted(),
        "slots": [_slot(slot, confirmed.get(slot.slot), sources.registered) for slot in slots],
        "clips": {state.value: counts.get(state, 0) for state in ClipState},
        "queue": {"clips": clips, "bytes": size},
        "disk": {
            "free": free,
            "total": total,
            "reserve": reserve,
            "per_day": per_day,
            "full_in_days": full_in,
        },
        "findings": {"open": sources.findings()},
        "health": [_issue(issue) for issue in sources.health()],
    }


def _slot(slot: SlotStatus, confirmed: float | None, registered: Callable[[str], bool | None]) -> SlotShape:
    eta = slot.eta_seconds
    return {
        "slot": printable(slot.slot),
        "state": slot.state.value,
        "step": step(slot, confirmed is not None).value,
        "recorder": printable(slot.recorder),
        "officer": printable(slot.officer),
        "files_done": slot.files_done,
        "files_total": slot.files_total,
        "bytes_done": slot.bytes_done,
        "bytes_total": slot.bytes_total,
        "bytes_per_second": round(slot.bytes_per_second),
        "eta_seconds": None if eta is None else round(eta, 1),
        "problems": [{"key": problem.key, "params": plain(problem.params)} for problem in slot.problems],
        "since": slot.since,
        "registered": registered(slot.recorder) if slot.recorder else None,
        "received": slot.received,
        "collected": slot.collected,
        "confirmed": confirmed,
        "docking": slot.docking or None,
        "erased": slot.erased,
        "duty": _duty(slot) if slot.state is SlotState.COLLECTED else None,
        "pulled": _pulled(slot),
        "out_of_use": slot.out_of_use,
    }


def _duty(slot: SlotStatus) -> DutyShape:
    told = slot.condition
    return {
        "fit": fit(told),
        "battery": told.battery,
        "free": told.free,
        "total": told.total,
        "clock_off": told.clock_off,
    }


def _pulled(slot: SlotStatus) -> PulledShape | None:
    pulled = slot.pulled
    if pulled is None:
        return None
    return {
        "recorder": printable(pulled.recorder),
        "officer": printable(pulled.officer),
        "files": pulled.files,
        "at": pulled.at,
    }


def _issue(issue: Issue) -> IssueShape:
    return {
        "key": issue.key,
        "subject": printable(issue.subject),
        "severity": issue.severity.value,
        "params": plain(issue.params),
        "since": issue.since,
        "acknowledged": _acknowledged(issue),
    }


def _acknowledged(issue: Issue) -> AcknowledgedShape | None:
    known = issue.acknowledged
    if known is None:
        return None
    return {"by": printable(known.by), "at": known.at, "note": printable(known.note)}
