"""From what the rooms know to what is told, and to whom: names are masked for whom they do not concern."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from agent.access.roles import Caller, Right, concerns, may, sees, whole
from agent.model import printable
from agent.status.plain import plain
from agent.status.shape import IssueShape, PulledShape, SlotShape
from agent.web.api import shapes
from agent.web.api.answers import MASKED, local, moment

_TIMES: tuple[Literal["since", "received", "collected", "confirmed", "out_of_use"], ...] = (
    "since",
    "received",
    "collected",
    "confirmed",
    "out_of_use",
)
UnitsOf = Callable[[str], frozenset[str]]


def visible(caller: Caller, units_of: UnitsOf) -> Callable[[Mapping[str, Any]], bool]:
    """Whether a row with an officer may be told to the caller at all."""

    def shown(row: Mapping[str, Any]) -> bool:
        officer = str(row["officer"])
        return any(sees(caller, unit, officer) for unit in units_of(officer) or ("",))

    return shown


def named(caller: Caller, units_of: UnitsOf, officer: str) -> Callable[[str], str]:
    """What the caller may read of names of that officer's recordings."""
    if any(concerns(caller, unit, officer) for unit in units_of(officer) or ("",)):
        return printable
    return _masked


def _masked(name: str) -> str:
    return MASKED if name else ""


def slot(row: SlotShape, caller: Caller, units_of: UnitsOf) -> shapes.Slot:
    name = named(caller, units_of, row["officer"])
    changed: dict[str, Any] = {
        "recorder": name(row["recorder"]),
        "officer": name(row["officer"]),
        **{when: moment(row[when]) for when in _TIMES},
        "pulled": _pulled(row["pulled"], caller, units_of),
    }
    if name is _masked:  # parameters are paths and numbers
        changed["problems"] = [{"key": one["key"], "params": {}} for one in row["problems"]]
    return {**row, **changed}  # type: ignore[typeddict-item]


def _pulled(row: PulledShape | None, caller: Caller, units_of: UnitsOf) -> shapes.Pulled | None:
    if row is None:
        return None
    name = named(caller, units_of, row["officer"])
    return {
        "recorder": name(row["recorder"]),
        "officer": name(row["officer"]),
        "files": row["files"],
        "at": moment(row["at"]),
    }


def issue(row: IssueShape, caller: Caller) -> shapes.Issue:
    params = row["params"]
    if not whole(caller):  # whom of the whole station they name is nobody's in particular
        params = {
            name: value for name, value in params.items() if value is None or isinstance(value, int | float)
        }
    return {
        "key": row["key"],
        "subject": _subject(row, caller),
        "severity": row["severity"],
        "params": params,
        "since": moment(row["since"]),
        "acknowledged": _known(row, caller),
    }


def _subject(row: IssueShape, caller: Caller) -> str:
    """A slot or a target is what who acknowledges has to name; a recorder may not concern that one."""
    named = row["subject"] == row["params"].get("recorder")
    shown = whole(caller) or (may(caller, Right.ACKNOWLEDGE) and not named)
    return row["subject"] if shown else _masked(row["subject"])


def _known(row: IssueShape, caller: Caller) -> shapes.Known | None:
    known = row["acknowledged"]
    if known is None:
        return None
    by = known["by"] if whole(caller) or may(caller, Right.ACKNOWLEDGE) else MASKED
    note = known["note"] if whole(caller) else _masked(known["note"])
    return {"by": by, "at": moment(known["at"]), "note": note}


def clip(row: Mapping[str, Any], caller: Caller, units_of: UnitsOf) -> shapes.Clip:
    name = named(caller, units_of, row["officer"])
    return {
        "clip": row["id"],
        "state": row["state"],
        "recorder": name(row["recorder"]),
        "officer": name(row["officer"]),
        "path": name(row["path"]),
        "size": row["size"],
        "kind": row["kind"],
        "important": row["important"],
        "partial": row["partial"],
        "assigned": row["assigned"],
        "category": plain(row["category"]),
        "case": name(row["case_number"]),
        "recorded_at": local(row["recorded_at"]),
        "time_source": row["time_source"],
        "docking": row["docking"],
        "slot": plain(row["slot"]),
        "docked_at": moment(row["docked_at"]),
        "docked_at_trusted": row["docked_trusted"],
        "stored_at": moment(row["stored_at"]),
        "sha256": row["sha256"] or None,
        "merged_into": row["merged_into"],
    }


def docking(row: Mapping[str, Any], caller: Caller, units_of: UnitsOf) -> shapes.Docking:
    name = named(caller, units_of, row["officer"])
    return {
        "docking": row["id"],
        "slot": plain(row["slot"]),
        "recorder": name(row["recorder"]),
        "officer": name(row["officer"]),
        "started": moment(row["started"]),
        "started_trusted": bool(row["clock_trusted"]),
        "ended": moment(row["ended"]),
        "outcome": row["outcome"],
        "clips": row["clips"],
        "bytes": row["bytes"],
    }


def recorder(row: Mapping[str, Any], caller: Caller, units_of: UnitsOf) -> shapes.Recorder:
    name = named(caller, units_of, row["officer"])
    return {
        "recorder": name(row["recorder"]),
        "officer": name(row["officer"]),
        "docking": row["docking"],
        "slot": plain(row["slot"]),
        "started": moment(row["started"]),
        "ended": moment(row["ended"]),
        "outcome": row["outcome"],
    }


def hold(row: Mapping[str, Any], caller: Caller, units_of: UnitsOf) -> shapes.Hold:
    names = may(caller, Right.SEE_NAMES)
    value: Callable[[str], str] = printable if names else _masked
    if row["scope"] == "officer":
        value = named(caller, units_of, row["value"])
    elif row["scope"] == "recorder" and caller.units:
        value = _masked
    return {
        "hold": row["id"],
        "scope": row["scope"],
        "value": value(row["value"]),
        "since": local(row["since"]),
        "until": local(row["until"]),
        "set_at": moment(row["at"]),
        "set_at_trusted": bool(row["clock_trusted"]),
        "set_by": printable(row["who"] or "") if names else MASKED,
        "lifted_at": moment(row["lifted_at"]),
    }


def finding(row: Mapping[str, Any]) -> shapes.Finding:
    """For who may read names."""
    return {
        "finding": row["finding"],
        "rule": row["rule"],
        "recorder": printable(row["recorder"]),
        "docking": row["docking"],
        "facts": plain(row["facts"]),
        "found_at": moment(row["found_at"]),
        "state": row["state"],
        "looked": [
            {"target": plain(target), "at": moment(said["at"]), "left": said["left"]}
            for target, said in row["looked"].items()
        ],
        "changed_at": moment(row["changed_at"]),
        "explained_by": printable(row["explained_by"]),
        "explanation": plain(row["explanation"]),
    }


def clock(facts: Mapping[str, Any]) -> shapes.Clock:
    return {
        "recorder": printable(facts["recorder"]),
        "dockings": facts["dockings"],
        "docked": moment(facts["docked"]),
        "ahead_seconds": facts["ahead_seconds"],
        "drift_seconds_a_day": facts["drift_seconds_a_day"],
        "wrong": facts["wrong"],
    }


def tally(row: Mapping[str, Any]) -> shapes.Tally:
    return plain(row)  # type: ignore[no-any-return]


def late(row: Mapping[str, Any]) -> shapes.Late:
    times = {name: moment(row[name]) for name in ("recorded", "handed")}
    return {**plain(row), **times}  # type: ignore[typeddict-item]


def story(found: Mapping[str, Any]) -> dict[str, Any]:
    """What the command `view` gives out, but for the clip itself."""
    digests, log = found["digests"], found["log"]
    signed = log["size"] if log else 0
    return {
        "event": found["event"],
        "digests": {**digests, "unreadable": plain(digests["unreadable"])} if digests else None,
        "deliveries": [
            {
                "target": plain(one["target"]),
                "state": one["state"],
                "receipt": plain(one["receipt"]),
                "problem": plain(one["problem"]),
                "at": moment(one["updated"]),
            }
            for one in found["deliveries"]
        ],
        "findings": [finding(one) for one in found["findings"]],
        "events": [_event(one, signed) for one in found["events"]],
        "log": log,
    }


def _event(one: Mapping[str, Any], signed: int) -> shapes.Event:
    return {
        "event": one["seq"],
        "kind": one["kind"],
        "at": moment(one["at"]),
        "trusted": one["clock"],
        "signed": one["seq"] <= signed,
        "facts": plain(one["body"]) if isinstance(one["body"], Mapping) else {},
        "texts": plain(one["texts"]),
    }
