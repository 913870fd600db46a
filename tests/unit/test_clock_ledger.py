"""Each docking says how far the recorder's clock can be off; what it proves is told, and no more."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent.catalog import clocks
from agent.cli import app
from agent.clock import Stamp
from agent.custody.clocks import ledger
from agent.custody.clocks.ledger import Standing
from tests.recording import RECORDER, Recorder, Station

HOUR, DAY = 3600.0, 86400.0


@pytest.fixture(autouse=True)
def trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(1.0, "", trusted=True))


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    (tmp_path / "store" / "catalog").mkdir(parents=True)
    made = Station(tmp_path / "store" / "catalog")
    yield made
    made.close()


def shift(station: Station, recorder: Recorder, ahead: float, hours: float = 8) -> None:
    """In use from shortly after it was taken until shortly before it is docked again."""
    begin = station.at + 300
    for at in (begin, station.at + hours * HOUR - 300):
        recorder.now = datetime.fromtimestamp(at + ahead).replace(microsecond=0)
        recorder.take(timedelta(seconds=60))
    station.dock(recorder, pause=hours * HOUR)


def standing(station: Station) -> Standing:
    return ledger.standing(station.catalog.read(), RECORDER)


def test_a_clock_that_is_off_is_known_after_two_dockings(station: Station) -> None:
    recorder = Recorder()
    for _ in range(2):
        shift(station, recorder, ahead=900)
    found = standing(station)
    assert 500 < found.ahead.low <= 900 <= found.ahead.high < 1300
    assert found.wrong
    assert ledger.wrong(station.catalog.read()) == [RECORDER]
    first, second = station.events("clock-compared")
    assert (first["high"], second["recorder"], second["files"]) == (None, RECORDER, 2)
    assert second["low"] == found.ahead.low


def test_a_clock_that_may_be_right_is_not_called_wrong(station: Station) -> None:
    recorder = Recorder()
    for _ in range(5):
        shift(station, recorder, ahead=2)
    assert not standing(station).wrong
    assert ledger.wrong(station.catalog.read()) == []


def test_a_clock_that_drifts_by_more_than_the_standard_allows_is_told(station: Station) -> None:
    recorder = Recorder()
    for day in range(60):
        shift(station, recorder, ahead=20.0 * day, hours=24)
    found = standing(station)
    assert found.drift.low <= 20 <= found.drift.high
    assert found.drift.outside(ledger.PACE)


def test_what_the_station_cannot_know_it_does_not_say(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    shift(station, recorder, ahead=900)
    station.dock(recorder)  # nothing new
    with monkeypatch.context() as wrong:
        wrong.setattr("agent.catalog.door.stamp", lambda: Stamp(1.0, "", trusted=False))
        shift(station, recorder, ahead=900)
    assert len(station.events("clock-compared")) == 1
    shift(station, recorder, ahead=900)
    [_, last] = station.events("clock-compared")
    assert last["high"] is not None  # since the docking before the one without a clock
    recorder.card = "CARD-2"
    shift(station, recorder, ahead=900)
    assert station.events("clock-compared")[-1]["high"] is None  # old files may be on a card that is new here


@settings(max_examples=25, deadline=None)
@given(
    aheads=st.lists(st.floats(-5000, 5000), min_size=1, max_size=5),
    hours=st.lists(st.floats(1, 100), min_size=5, max_size=5),
)
def test_the_truth_is_always_within_the_ledger(
    tmp_path_factory: pytest.TempPathFactory, aheads: list[float], hours: list[float]
) -> None:
    station, recorder = Station(tmp_path_factory.mktemp("ledger")), Recorder()
    for ahead, long in zip(aheads, hours, strict=False):
        shift(station, recorder, ahead, long)
    kept = clocks.offsets(station.catalog.read(), RECORDER)
    assert len(kept) == len(aheads)
    for ahead, one in zip(aheads, kept, strict=True):
        assert one.low <= ahead
        assert one.high is None or ahead <= one.high
    station.close()


def test_the_command_shows_the_ledger(station: Station, tmp_path: Path) -> None:
    run = CliRunner().invoke
    store = ["--data", str(tmp_path / "store")]
    assert "compared yet" in run(app, ["clock", *store, "--lang", "en"]).output
    recorder = Recorder()
    for _ in range(2):
        shift(station, recorder, ahead=900)
    done = run(app, ["clock", *store, "--lang", "en"])
    assert done.exit_code == 0, done.output
    assert RECORDER in done.output
    assert "wrong, for certain" in done.output
    [row] = json.loads(run(app, ["clock", RECORDER, *store, "--json"]).stdout)
    assert (row["recorder"], row["dockings"], row["wrong"]) == (RECORDER, 2, True)
    assert row["ahead_seconds"][0] <= 900 <= row["ahead_seconds"][1]
    assert json.loads(run(app, ["clock", "1", *store, "--json"]).stdout) == []
