"""Beside the time that a recorder wrote stands when it truly was, and from what that follows."""

import dataclasses
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.cli.export import both
from agent.clock import Stamp
from agent.custody import package
from agent.custody.clocks.corrected import Corrected, corrected
from agent.custody.completeness.judge import Judge
from agent.custody.evidence import export
from agent.custody.evidence.export import Asked
from agent.custody.evidence.report import Facts, html
from agent.errors import Stop
from tests.dockside import recorder
from tests.exporting import Exporting, wrong
from tests.recording import Recorder, Station
from tests.unit.test_clock_ledger import HOUR, shift

SECTIONS = ("Between ", "Not after ", "Not known.")


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(time.time(), "", trusted=True))


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "catalog")
    yield made
    made.close()


def of_all(station: Station) -> list[Corrected]:
    db = station.catalog.read()
    return [corrected(db, row[0]) for row in db.execute("SELECT id FROM clips ORDER BY id").fetchall()]


def words(one: Corrected) -> str:
    return " ".join(both("report", key, params)[1] for key, params in one.sentences)


@settings(max_examples=25, deadline=None)
@given(
    aheads=st.lists(st.floats(-5000, 5000), min_size=1, max_size=4),
    hours=st.lists(st.floats(1, 100), min_size=4, max_size=4),
)
def test_a_clip_was_recorded_within_its_interval(
    tmp_path_factory: pytest.TempPathFactory, aheads: list[float], hours: list[float]
) -> None:
    station, recorder, true = Station(tmp_path_factory.mktemp("times")), Recorder(), list[float]()
    for ahead, long in zip(aheads, hours, strict=False):
        true += [station.at + 300, station.at + long * HOUR - 300]
        shift(station, recorder, ahead, long)
    found = of_all(station)
    assert len(found) == len(true)
    for one, at in zip(found, true, strict=True):
        assert one.follows_from == "clock"
        assert one.within.low <= at <= one.within.high
    station.close()


def test_what_was_written_stays_and_the_interval_stands_beside_it(station: Station) -> None:
    recorder = Recorder()
    for _ in range(2):
        shift(station, recorder, ahead=900)
    first, _, last, _ = of_all(station)
    assert (first.facts["recorded_at"], first.facts["from"]) == (first.of.recorded_at, None)
    assert words(first).startswith("Not after ")
    assert "was not known before" in words(first)
    facts = last.facts
    assert facts["from"] <= facts["recorded"] - 900 <= facts["to"]
    assert facts["to"] - facts["from"] < 1300
    assert words(last).startswith("Between ")
    assert "its card was here last until" in words(last)


def test_what_follows_from_less_is_said_with_the_reason(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    shift(station, recorder, ahead=0)

    def newest() -> Corrected:
        return of_all(station)[-1]

    with monkeypatch.context() as wrong_clock:
        wrong_clock.setattr("agent.catalog.door.stamp", lambda: Stamp(1.0, "", trusted=False))
        shift(station, recorder, ahead=0)
        one = newest()
        assert (one.follows_from, one.facts["from"], one.facts["docked"]) == ("nothing", None, None)
        assert words(one).startswith("Not known. The recorder's own time stays")
        assert "No time service kept" in words(one)
    recorder.take()
    station.dock(recorder, judge=False)
    assert newest().why == "uncompared"
    assert "Between" in words(newest()) and "was not compared" in words(newest())
    shift(station, recorder, ahead=-90_000)
    recorder.now = recorder.now.replace(year=2030)
    recorder.take()
    station.dock(recorder)
    shift(station, recorder, ahead=0)
    for one in of_all(station):
        assert one.within.low <= one.within.high


def test_every_case_is_told_in_both_languages_without_a_gap(station: Station) -> None:
    recorder = Recorder()
    for _ in range(2):
        shift(station, recorder, ahead=5)
    times = of_all(station)
    for why in ("untrusted", "unnamed", "uncompared", "contradicts"):
        times += [dataclasses.replace(one, why=why) for one in of_all(station)]
    for one in times:
        for key, params in one.sentences:
            for text in both("report", key, params):
                assert "?" not in text and key not in text, text


# In a package


@pytest.fixture
def exporting(tmp_path: Path) -> Iterator[Exporting]:
    made = Exporting(tmp_path)
    made.side.catalog.write(lambda tx: tx.execute("UPDATE dockings SET ended = ended - 100"))
    Judge(made.side.catalog).step()
    yield made
    made.side.close()


def test_a_package_tells_the_true_times_in_words_and_numbers_and_proves_them(exporting: Exporting) -> None:
    bag = exporting.export()
    assert wrong(bag, exporting.vkey) == []
    told = json.loads((bag / package.TIMES).read_bytes())
    sidecars = [json.loads(path.read_bytes()) for path in sorted((bag / "data/clips").rglob("*.json"))]
    assert [one["recorded_at"] for one in told] == [one["recorded_at"] for one in sidecars]
    assert {one["follows_from"] for one in told} == {"clock"}
    said = [one.en for one in package.check(str(bag))]
    assert sum("the interval of its true time follows from event" in line for line in said) == 3
    shown = (bag / "data/report.html").read_text("utf-8")
    assert shown.count("when that truly was") == 3
    assert "记录仪原有时间不作改动" in shown
    assert "2026-01-01T12:01:00" in shown


def altered(plan: export.Plan, change: Callable[[dict[str, Any]], object]) -> export.Plan:
    source = plan.files[package.TIMES].source
    assert isinstance(source, bytes)
    times = json.loads(source)
    change(times[0])
    data = json.dumps(times).encode()
    file = export.File(data, hashlib.sha256(data).hexdigest())
    return dataclasses.replace(plan, files={**plan.files, package.TIMES: file})


SIGNED: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "an earlier end": (lambda one: one.update(to=one["to"] - 60), "it would be"),
    "a beginning": (lambda one: one.update({"from": one["to"] - 60}), "it would be"),
    "no end": (lambda one: one.update(to=None), "it would be"),
    "another clock": (lambda one: one["ahead_seconds"].__setitem__(0, 0.0), "has other bounds"),
    "another docking": (lambda one: one.update(docking=2), "docking 2 is not in the package"),
    "no docking": (lambda one: one.update(docking=None), "docking None is not in the package"),
    "words for numbers": (lambda one: one.update(recorded="noon"), "the true time of clip"),
}


@pytest.mark.parametrize("what", SIGNED)
def test_a_true_time_that_does_not_follow_is_named(exporting: Exporting, what: str) -> None:
    change, named = SIGNED[what]
    plan = altered(exporting.plan(), change)
    with pytest.raises(Stop, match="export-not-whole") as raised:
        exporting.write(plan)
    assert named in raised.value.params["reason"]


def test_a_clip_whose_name_tells_no_time_is_exported_with_what_is_known(exporting: Exporting) -> None:
    exporting.side.dock(recorder(exporting.root / "odd", {"DCIM/odd.mp4": 77}))
    (row,) = (row for row in exporting.side.rows() if row["path"] == "DCIM/odd.mp4")
    bag = exporting.export("odd-bag", Asked("a", "b", clips=(row["id"],)))
    assert wrong(bag, exporting.vkey) == []
    (told,) = json.loads((bag / package.TIMES).read_bytes())
    assert (told["follows_from"], told["why"]) == ("docking", "unnamed")
    assert told["to"] == pytest.approx(told["docked"], abs=0.001)


def test_a_report_without_times_is_as_it_was() -> None:
    made = html(Facts("o", "", "n", "r", [], [], {}, [], []), both)
    assert not any(section in made for section in SECTIONS)
