"""A package shows when and in which slot the recorder was handed over, and not what else it brought."""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.custody import package
from agent.custody.evidence import export
from agent.custody.evidence.export import Asked
from agent.custody.log.leaf import Event, entry
from agent.custody.verifier import Proof
from agent.errors import DeviceGone, Stop
from tests.dockside import Heard, recorder
from tests.exporting import NAME, Exporting, run, wrong


def told(bag: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((bag / package.EXPORT).read_bytes())["dockings"]
    return found


def fact(bag: Path, seq: int) -> dict[str, Any]:
    data = Proof.parse((bag / f"data/log/{seq}.proof").read_bytes()).extra
    found: dict[str, Any] = json.loads(data)
    return found


def readable(path: Path) -> bytes:
    data = path.read_bytes()
    return Proof.parse(data).extra if path.suffix == ".proof" else data


def ids(station: Exporting, *numbers: int) -> tuple[int, ...]:
    by_path = {row["path"]: row["id"] for row in station.side.rows()}
    return tuple(by_path[NAME.format(number)] for number in numbers)


def test_the_docking_that_brought_the_clips_is_proven_and_shown(station: Exporting) -> None:
    bag = station.export()
    (docking,) = told(bag)
    begun, ended = fact(bag, docking["docked"]), fact(bag, docking["undocked"])
    assert (begun["body"]["slot"], begun["body"]["recorder"]) == ("A1", "8888888")
    assert ended["body"]["clips"] == 3
    said = run(bag).stdout
    assert f"docking {docking['docking']}: recorder 8888888 in slot A1 at {begun['at']}" in said
    assert f"until {ended['at']} (collected)" in said
    shown = (bag / "data/report.html").read_text("utf-8")
    for one in ("3 clips became safe in it", "安全存入 3 个文件", begun["at"], ended["at"]):
        assert one in shown


def test_the_end_of_a_docking_is_kept_back_where_it_would_tell_when_others_were_recorded(
    station: Exporting,
) -> None:
    for numbers, kept_back in (((1,), True), ((1, 2), True), ((1, 3), False), ((1, 2, 3), False)):
        name = "bag" + "".join(map(str, numbers))
        bag = station.export(name, Asked("a", "b", clips=ids(station, *numbers)))
        (docking,) = told(bag)
        assert (docking["undocked"] is None) == kept_back, numbers
        assert wrong(bag, station.vkey) == []
        shown = (bag / "data/report.html").read_text("utf-8")
        assert ("not told here: that event has the times" in shown) == kept_back
        everything = b"".join(readable(path) for path in bag.rglob("*") if path.is_file())
        for other in {1, 2, 3} - set(numbers):
            assert f"2026-01-01T12:{other:02}".encode() not in everything, numbers
            assert NAME.format(other).encode() not in everything


def test_a_clip_that_took_two_dockings_has_both(station: Exporting) -> None:
    name = "DCIM/5555555_000005_20260101140000_0001.mp4"
    folder = recorder(station.root / "twice", {name: 9_000_000})
    with pytest.raises(DeviceGone):
        station.side.dock(folder, Heard(pull_after=1), "B7")
    station.side.dock(folder, slot="C3")
    (row,) = (row for row in station.side.rows() if row["path"] == name)
    bag = station.export("bag", Asked("a", "b", clips=(row["id"],)))
    found = [fact(bag, one["docked"])["body"]["slot"] for one in told(bag)]
    assert found == ["B7", "C3"]
    assert wrong(bag, station.vkey) == []


# What a station signs although it is not so


def altered(plan: export.Plan, change: Callable[[list[dict[str, Any]]], object]) -> export.Plan:
    source = plan.files[package.EXPORT].source
    assert isinstance(source, bytes)
    said = json.loads(source)
    change(said["dockings"])
    data = json.dumps(said).encode()
    file = export.File(data, hashlib.sha256(data).hexdigest())
    return dataclasses.replace(plan, files={**plan.files, package.EXPORT: file})


def more(plan: export.Plan, station: Exporting, kind: str, which: int) -> tuple[export.Plan, int]:
    """With an entry of this kind that the plan does not have."""
    row = station.side.catalog.read().execute(
        "SELECT seq, clip, kind, body, at, boot_id, clock_trusted FROM events WHERE kind = ? ORDER BY seq",
        (kind,),
    ).fetchall()[which]  # fmt: skip
    event = Event(*row)
    return dataclasses.replace(plan, entries={**plan.entries, event.seq: entry(event)}), event.seq


def another(plan: export.Plan, station: Exporting, kind: str, name: str) -> export.Plan:
    plan, seq = more(plan, station, kind, 1)
    return altered(plan, lambda dockings: dockings[0].update({name: seq}))


def unknown(plan: export.Plan, station: Exporting) -> export.Plan:
    plan, seq = more(plan, station, "docked", 1)
    return altered(plan, lambda dockings: dockings.append({"docking": 2, "docked": seq}))


def left_out(plan: export.Plan, kind: bytes) -> export.Plan:
    entries = {seq: data for seq, data in plan.entries.items() if b'"kind":"' + kind not in data}
    return dataclasses.replace(plan, entries=entries)


SIGNED: dict[str, tuple[Callable[[export.Plan, Exporting], export.Plan], str]] = {
    "no dockings": (lambda plan, _: altered(plan, list.clear), "is about none of these clips"),
    "no list": (lambda plan, _: altered(left_out(left_out(plan, b"docked"), b"undocked"), list.clear),
                ": docking 1 is not in the package"),
    "the entry left out": (lambda plan, _: left_out(plan, b"docked"), "is not its `docked`"),
    "the end left out": (lambda plan, _: left_out(plan, b"undocked"), "is not its `undocked`"),
    "another beginning": (lambda plan, side: another(plan, side, "docked", "docked"), "is not its `docked`"),
    "the end of another docking": (
        lambda plan, side: another(plan, side, "undocked", "undocked"), "is not its `undocked`",
    ),
    "another number": (lambda plan, _: altered(plan, lambda all_: all_[0].update(docking=9)), "is not its"),
    "twice": (lambda plan, _: altered(plan, lambda all_: all_.append(all_[0])), "told of twice"),
    "no beginning": (lambda plan, _: altered(plan, lambda all_: all_[0].pop("docked")), "how it began"),
    "no numbers": (
        lambda plan, _: altered(plan, lambda all_: all_[0].update(docked=[1], docking={})), "has no number",
    ),
    "a docking of no clip": (unknown, "no clip came in docking 2"),
    "an end as the beginning": (
        lambda plan, _: altered(plan, lambda all_: all_[0].update(docked=all_[0]["undocked"])), "is not its",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", SIGNED)
def test_dockings_that_are_not_those_of_the_clips_are_named(station: Exporting, what: str) -> None:
    make, named = SIGNED[what]
    plan = make(station.plan(), station)
    with pytest.raises(Stop, match="export-not-whole") as raised:
        station.write(plan)
    assert named in raised.value.params["reason"]
