"""The picture of the station: true, complete, plain."""

import json
import re
import threading
import time
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import is_typeddict

from agent.model import (
    ClipState,
    Condition,
    Doing,
    Problem,
    Pulled,
    SlotState,
    SlotStatus,
    Step,
    printable,
)
from agent.status.health import Issue, Severity
from agent.status.health.issue import Acknowledged
from agent.status.plain import plain
from agent.status.remembered import Remembered
from agent.status.shape import StatusShape
from agent.status.snapshot import Sources, snapshot

DOCS = Path(__file__).parents[2] / "docs" / "status.md"

names = st.text(st.characters(), max_size=20)


def sources(**changes: Any) -> Sources:
    usual: dict[str, Any] = {
        "station": "S",
        "version": "1",
        "started": time.monotonic(),
        "slots": list,
        "clip_counts": dict,
        "queue": lambda: (0, 0),
        "disk": lambda: (1, 2, 3),
        "filling": lambda: None,
        "clock_trusted": lambda: False,
        "health": list,
        "findings": lambda: 0,
        "waiting_for": list,
    }
    return Sources(**{**usual, **changes})


def fields(shape: Any, above: str = "") -> set[str]:
    """Dotted names of everything in a shape: `slots.problems.key`."""
    found = set()
    for name, kind in get_type_hints(shape).items():
        found.add(above + name)
        for inner in (kind, *get_args(kind)):
            if is_typeddict(inner):
                found |= fields(inner, f"{above}{name}.")
    return found


def dotted(value: Any, above: str = "") -> set[str]:
    if isinstance(value, list):
        return {name for each in value for name in dotted(each, above)}
    if not isinstance(value, dict):
        return set()
    found = set()
    for name, inner in value.items():
        found.add(above + name)
        if above + name not in ("slots.problems.params", "health.params", "clips"):
            found |= dotted(inner, f"{above}{name}.")
    return found


def test_every_field_is_documented_and_no_other() -> None:
    section = DOCS.read_text().split("## Fields of `/status`")[1].split("\n## ")[0]
    documented = set(re.findall(r"^\| `([a-z_.]+)` \|", section, re.MULTILINE))
    assert documented == fields(StatusShape)


def test_every_state_is_documented() -> None:
    text = DOCS.read_text()
    assert [state for state in (*SlotState, *Step, *ClipState) if f"`{state}`" not in text] == []


def test_a_snapshot_has_exactly_the_fields_of_its_shape() -> None:
    slots = [
        SlotStatus("1", SlotState.COLLECTED, problems=(Problem("unreadable", {"path": "a"}),)),
        SlotStatus("2", pulled=Pulled("8888888", "", None, 1.0)),
    ]
    issue = Issue("no-target", Severity.WARNING, acknowledged=Acknowledged("li", 1.0, ""))
    shown = snapshot(sources(slots=lambda: slots, health=lambda: [issue]))
    assert dotted(shown) == fields(StatusShape)


def test_every_state_of_a_clip_is_counted_also_when_there_is_none() -> None:
    shown = snapshot(sources(clip_counts=lambda: {ClipState.STORED: 4}))
    assert shown["clips"] == {**dict.fromkeys(map(str, ClipState), 0), "stored": 4}


def test_the_time_left_is_unknown_rather_than_wrong() -> None:
    def eta(**changes: Any) -> float | None:
        shown = snapshot(sources(slots=lambda: [SlotStatus("1", **changes)]))
        return shown["slots"][0]["eta_seconds"]

    assert eta(state=SlotState.COLLECTING, bytes_total=100, bytes_done=50, bytes_per_second=10.0) == 5
    assert eta(state=SlotState.COLLECTING, bytes_total=100) is None
    assert eta(state=SlotState.COLLECTED, bytes_total=100, bytes_done=100, bytes_per_second=10.0) is None
    assert eta(state=SlotState.COLLECTING, bytes_total=1, bytes_done=9, bytes_per_second=1.0) == 0


@pytest.mark.parametrize(
    ("slot", "step"),
    [
        (SlotStatus("1"), Step.EMPTY),
        (SlotStatus("1", pulled=Pulled("8888888", "", 3, 1.0)), Step.PULLED_EARLY),
        (SlotStatus("1", SlotState.IDENTIFYING, doing=Doing.COPYING), Step.IDENTIFYING),
        (SlotStatus("1", SlotState.COLLECTING), Step.COLLECTING),
        (SlotStatus("1", SlotState.COLLECTING, doing=Doing.QUEUED), Step.QUEUED),
        (SlotStatus("1", SlotState.COLLECTING, doing=Doing.VERIFYING), Step.VERIFYING),
        (SlotStatus("1", SlotState.COLLECTING, doing=Doing.ERASING), Step.ERASING),
        (SlotStatus("1", SlotState.COLLECTED, doing=Doing.ERASING, erased=2), Step.COLLECTED),
        (SlotStatus("1", SlotState.COLLECTED, erased=2, emptied=True), Step.ERASED),
        (SlotStatus("1", SlotState.INCOMPLETE, erased=2, emptied=True), Step.INCOMPLETE),
        (SlotStatus("1", SlotState.STUCK, doing=Doing.QUEUED), Step.STUCK),
        (SlotStatus("1", SlotState.OUT_OF_USE, pulled=Pulled("8", "", 3, 1.0)), Step.OUT_OF_USE),
    ],
)
def test_a_slot_says_no_more_than_its_state_holds(slot: SlotStatus, step: Step) -> None:
    (shown,) = snapshot(sources(slots=lambda: [slot]))["slots"]
    assert shown["step"] == step


def test_a_slot_that_the_catalog_calls_confirmed_says_so_and_since_when() -> None:
    slots = [SlotStatus("1", SlotState.COLLECTED), SlotStatus("2", SlotState.COLLECTED)]
    shown = snapshot(sources(slots=lambda: slots, confirmed=lambda asked: {"2": 5.0}))["slots"]
    assert [(slot["step"], slot["confirmed"]) for slot in shown] == [("collected", None), ("confirmed", 5.0)]


def test_only_who_has_a_number_can_be_missing_on_the_roster() -> None:
    slots = [SlotStatus("1"), SlotStatus("2", recorder="8888888"), SlotStatus("3", recorder="7777777")]
    shown = snapshot(sources(slots=lambda: slots, registered=lambda recorder: recorder == "8888888"))["slots"]
    assert [slot["registered"] for slot in shown] == [None, True, False]


@pytest.mark.parametrize(
    ("told", "fit"),
    [
        (Condition(), None),
        (Condition(battery=100, free=9, total=10), None),
        (Condition(battery=100, free=9, total=10, clock_off=-3.0), True),
        (Condition(battery=20), False),
        (Condition(free=1, total=10), False),
        (Condition(battery=100, free=9, total=10, clock_off=3600.0), False),
        (Condition(battery=100, free=0, total=0, clock_off=0.0), None),
    ],
)
def test_a_recorder_is_fit_for_duty_only_when_all_of_it_is_known(told: Condition, fit: bool | None) -> None:
    (shown,) = snapshot(sources(slots=lambda: [SlotStatus("1", SlotState.COLLECTED, condition=told)]))[
        "slots"
    ]
    assert shown["duty"] is not None and shown["duty"]["fit"] is fit


@given(names, names, names)
def test_whatever_a_recorder_is_called_status_is_printable_json(
    slot: str, recorder: str, officer: str
) -> None:
    shown = snapshot(sources(slots=lambda: [SlotStatus(slot, recorder=recorder, officer=officer)]))
    text = json.dumps(shown, ensure_ascii=False, allow_nan=False).encode().decode()
    assert printable(text) == text


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | names | st.binary(max_size=9),
        lambda inner: st.lists(inner) | st.dictionaries(names, inner) | st.tuples(inner),
        max_leaves=20,
    )
)
def test_any_parameter_becomes_plain_json(value: Any) -> None:
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False).encode().decode()
    assert printable(text) == text
    assert plain(plain(value)) == plain(value)


def test_numbers_stay_numbers() -> None:
    params = {"free": 3 << 40, "ok": True, "none": None, "spans": [(0, 1)]}
    assert plain(params) == {"free": 3 << 40, "ok": True, "none": None, "spans": [[0, 1]]}


def test_an_answer_is_remembered_for_its_time_and_no_longer() -> None:
    now, asked = [0.0], []

    def source() -> int:
        asked.append(now[0])
        return len(asked)

    remembered = Remembered(source, 2.0, lambda: now[0])
    assert [remembered(), remembered()] == [1, 1]
    now[0] = 1.9
    assert remembered() == 1
    now[0] = 2.0
    assert remembered() == 2


def test_a_failure_is_not_remembered() -> None:
    answers: list[Any] = [OSError("first"), "second"]

    def source() -> str:
        answer = answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return str(answer)

    remembered = Remembered(source, 100.0)
    with pytest.raises(OSError, match="first"):
        remembered()
    assert remembered() == "second"


def test_fifty_who_ask_at_once_cost_one_look() -> None:
    asked = []
    begin = threading.Barrier(50)
    remembered = Remembered(lambda: asked.append(1), 100.0)

    def ask() -> None:
        begin.wait()
        remembered()

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == [1]
