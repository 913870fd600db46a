"""The hand-in report: in time, late, unknown, not collected, not there; and nobody accused without proof."""

import csv
import io
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from agent.catalog import Catalog, clocks, handins, intake
from agent.catalog.home import catalog_path
from agent.cli import app
from agent.clock import Stamp
from agent.config.roster import Line, Roster
from agent.model import SourceClip
from agent.retention import handin, roster
from agent.retention.handin import Report, Tally
from agent.status.health import Severity
from agent.status.health.handin import handin_check
from scripts.benchmarks.million import build
from tests.uploading import WHO, manifest_of

DAY = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 12)
HOUR = timedelta(hours=1)
LINE = Line("8888888", "000123", "traffic police")


class House:
    def __init__(self, root: Path, patch: pytest.MonkeyPatch) -> None:
        self.now, self.trusted, self.files = NOON, True, 0
        catalog_path(root).parent.mkdir(parents=True)
        self.catalog = Catalog.open(catalog_path(root))
        patch.setattr("agent.catalog.door.stamp", lambda: Stamp(self.now.timestamp(), "boot", self.trusted))
        patch.setattr("agent.catalog.intake.time", SimpleNamespace(time=lambda: self.now.timestamp()))

    def dock(
        self, *recorded: datetime, recorder: str = "8888888", stored: bool = True, officer: str = "000123"
    ) -> list[int]:
        """A docking that takes an hour; without `stored` its recorder was pulled."""
        who = replace(WHO, recorder=recorder)
        clips = self.catalog.write(lambda tx: self._see(tx, recorded, recorder, officer))
        self.now += HOUR
        if stored:
            self.catalog.write(lambda tx: self._store(tx, clips))
        docking = self._docking(who.recorder)
        self.catalog.write(lambda tx: intake.end_docking(tx, docking, "collected"))
        return clips

    def _see(
        self, tx: sqlite3.Connection, recorded: tuple[datetime, ...], recorder: str, officer: str
    ) -> list[int]:
        who = replace(WHO, recorder=recorder)
        sources = [
            SourceClip(f"{self.files + n}", 1, 1, kind="video", officer=officer, recorded_at=at)
            for n, at in enumerate(recorded)
        ]
        self.files += len(sources)
        return intake.see(tx, intake.begin_docking(tx, "A1", who), who, sources)

    def _store(self, tx: sqlite3.Connection, clips: list[int]) -> None:
        docking = tx.execute("SELECT max(id) FROM dockings").fetchone()[0]
        intake.start(tx, clips, docking)
        for clip in clips:
            intake.describe(tx, clip, manifest_of(b"%d" % clip), f"key {clip}", b"samples")
        intake.store(tx, clips)

    def _docking(self, recorder: str) -> int:
        row = self.catalog.read().execute("SELECT max(id) FROM dockings WHERE recorder = ?", (recorder,))
        return int(row.fetchone()[0])

    def come_again(self, clips: list[int]) -> None:
        """What was left is collected at another docking."""
        docking = self.catalog.write(lambda tx: intake.begin_docking(tx, "A1", WHO))
        self.now += HOUR
        self.catalog.write(lambda tx: self._store(tx, clips))
        self.catalog.write(lambda tx: intake.end_docking(tx, docking, "collected"))

    def roster(self, *lines: Line) -> None:
        roster.take_over(self.catalog, Roster(lines))

    def report(self, first: date = DAY, last: date | None = None, **only: str) -> Report:
        db, now = self.catalog.read(), self.now.timestamp()
        return handin.report(db, roster.in_force(db), first, last or first, now, **only)

    def one(self) -> Tally:
        [tally] = self.report().tallies
        return tally


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    made = House(tmp_path / "store", monkeypatch)
    yield made
    made.catalog.close()


def test_what_comes_within_a_day_is_in_time_however_long_the_docking_takes(house: House) -> None:
    house.dock(NOON - 2 * HOUR, NOON - 24 * HOUR)
    assert house.one() == Tally("000123", "", "8888888", clips=2, in_time=2)


def test_what_comes_later_is_told_with_how_late_it_was(house: House) -> None:
    first, second = house.dock(NOON - 25 * HOUR, NOON - 48 * HOUR)
    made = house.report()
    assert made.tallies == [Tally("000123", "", "8888888", clips=2, late=2, most_late=86400.0)]
    assert [(late.clip, late.late) for late in made.late] == [(second, 86400.0), (first, 3600.0)]


def test_what_was_pulled_too_early_is_handed_in_when_it_comes_again(house: House) -> None:
    clips = house.dock(NOON - 2 * HOUR, stored=False)
    assert house.one() == Tally("000123", "", "8888888", clips=1, uncollected=1)
    house.now = NOON + 30 * HOUR
    house.come_again(clips)
    assert house.one() == Tally("000123", "", "8888888", clips=1, late=1, most_late=8 * 3600.0)


def test_a_clip_that_is_collected_anew_was_handed_in_the_first_time(house: House) -> None:
    [clip] = house.dock(NOON - 2 * HOUR)
    house.now = NOON + 100 * HOUR
    house.dock()
    later = house.now.timestamp()
    house.catalog.write(lambda tx: tx.execute("UPDATE clips SET stored_at = ? WHERE id = ?", (later, clip)))
    assert house.one().in_time == 1


@pytest.mark.parametrize("said", [datetime(1980, 1, 1), NOON - timedelta(days=8), NOON + 5 * HOUR])
def test_a_recorders_clock_that_cannot_be_believed_accuses_nobody(house: House, said: datetime) -> None:
    house.dock(said)
    assert house.one() == Tally("000123", "", "8888888", clips=1, unknown=1)


def test_a_station_whose_clock_was_not_trusted_accuses_nobody(house: House) -> None:
    house.roster(LINE, Line("8888889"))
    house.trusted = False
    house.dock(NOON - 30 * HOUR)
    house.dock(recorder="8888889")
    house.trusted = True
    first, second = house.report().tallies
    assert (first.recorder, first.away) == ("8888889", False)
    assert (second.unknown, second.late) == (1, 0)


def test_a_wrong_clock_that_is_proven_is_corrected(house: House) -> None:
    house.dock(NOON - 25 * HOUR, NOON - 28 * HOUR)
    what = clocks.compared(house.catalog.read(), 1)
    assert what is None  # names told no times here: the ledger is filled as it would have been
    seen = clocks.Compared(1, "8888888", NOON.timestamp(), None, 0.0, 0.0, 2)
    house.catalog.write(lambda tx: clocks.keep(tx, seen, -9 * 3600.0, -2 * 3600.0))
    tally = house.one()
    # It was behind by two to nine hours: the recordings can have been made as late as that.
    assert (tally.in_time, tally.late) == (2, 0)


def test_recorders_of_the_roster_that_did_not_dock_are_told_and_only_these(house: House) -> None:
    before = Line("8888886", "000124", "patrol", last=DAY - timedelta(days=1))
    house.roster(LINE, Line("8888887", "000124", "patrol"), before, Line("8888885", "", "", "camera"))
    house.dock(NOON - HOUR)
    house.dock(recorder="8888885")
    assert [(one.recorder, one.officer, one.unit, one.away) for one in house.report().tallies] == [
        ("8888885", "", "", False),
        ("8888887", "000124", "patrol", True),
        ("8888888", "000123", "traffic police", False),
    ]
    assert [one.recorder for one in house.report(unit="patrol").tallies] == ["8888887"]
    assert [one.recorder for one in house.report(officer="000123").tallies] == ["8888888"]
    yesterday = house.report(DAY - timedelta(days=1)).tallies
    assert {one.recorder for one in yesterday if one.away} == {"8888885", "8888886", "8888887", "8888888"}


def test_what_names_no_officer_is_that_of_the_rosters(house: House) -> None:
    house.roster(replace(LINE, last=DAY), Line("8888888", "000999", first=DAY + timedelta(days=1)))
    house.dock(NOON - HOUR, officer="")
    house.now = NOON + 24 * HOUR
    house.dock(NOON + HOUR, NOON + 20 * HOUR, officer="")
    assert [(one.officer, one.clips) for one in house.report(DAY, DAY + timedelta(days=1)).tallies] == [
        ("000999", 1),
        ("000123", 2),
    ]


def test_who_is_away_for_days_is_told_once_the_station_is_old_enough(house: House) -> None:
    house.roster(LINE, Line("8888887", first=DAY + timedelta(days=6)))

    def away() -> list[str]:
        db = house.catalog.read()
        return handin.away(db, roster.in_force(db), house.now.timestamp())

    assert away() == []
    house.now = NOON + timedelta(days=handin.AWAY, hours=-1)
    assert away() == []
    house.now = NOON + timedelta(days=handin.AWAY, hours=1)
    assert away() == ["8888888"]
    house.dock()
    assert away() == []


def test_what_is_late_today_and_who_is_away_are_told_to_the_custodian(house: House) -> None:
    house.dock(NOON - 30 * HOUR, NOON - HOUR)
    late = handin.late(house.catalog.read(), DAY, house.now.timestamp())
    assert late == 1
    check = handin_check(lambda: late, lambda: ["1", "2", "3", "4", "5", "6"], 7)
    assert [(issue.key, issue.severity) for issue in check()] == [
        ("clips-handed-in-late", Severity.INFO),
        ("recorders-not-docked", Severity.INFO),
    ]
    assert [issue.params.get("recorders") for issue in check()] == [None, "1, 2, 3, 4, 5 …"]
    assert list(handin_check(lambda: 0, list, 7)()) == []


def test_the_command_tells_it_as_table_csv_and_json_without_an_agent(house: House, tmp_path: Path) -> None:
    house.roster(replace(LINE, officer="=1+1", unit="交警"), Line("8888887", "000124", "巡警"))
    house.dock(NOON - 25 * HOUR, officer="=1+1")

    def run(*more: str) -> str:
        words = ["handin", "--day", DAY.isoformat(), "--data", str(tmp_path / "store"), *more]
        done = CliRunner().invoke(app, words)
        assert done.exit_code == 0, done.output
        return done.output

    said = json.loads(run("--json"))
    assert [one["recorder"] for one in said["recorders"] if one["away"]] == ["8888887"]
    assert [one["late"] for one in said["late"]] == [3600.0]
    text = run("--csv")
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [(row["unit"], row["officer"], row["late"], row["away"]) for row in rows] == [
        ("交警", "'=1+1", "1", "no"),
        ("巡警", "000124", "0", "yes"),
    ]
    assert "1:00 h" in run("--lang", "en")
    assert "did not dock" in run("--lang", "en")
    assert "未插入" in run("--lang", "zh", "--unit", "巡警")


@pytest.mark.parametrize("words", [["--day", "x"], ["--day", "2026-11-25", "--to", "2026-11-26"],
                                   ["--from", "2026-11-25", "--to", "2026-11-24"]])  # fmt: skip
def test_days_that_are_none_are_refused(words: list[str]) -> None:
    assert CliRunner().invoke(app, ["handin", *words]).exit_code == 2


def test_a_days_report_looks_at_the_clips_of_that_day_only(tmp_path: Path) -> None:
    build(tmp_path / "catalog.db", 200)
    with closing(sqlite3.connect(tmp_path / "catalog.db")) as db:
        plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {handins._BROUGHT}", (0, 1))]
        there = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {handins._THERE}", (0, 1))]
        then = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {handins._DOCKED_THEN}", ("8", 1, 1))]
    assert plan[0].startswith("SEARCH d USING INDEX dockings_by_start (started>? AND started<?)")
    assert plan[1].startswith("SEARCH c USING INDEX clips_of_docking (docking=?)")
    assert all(step.startswith("SEARCH") for step in plan)
    assert there[0].startswith("SEARCH dockings USING INDEX dockings_by_start")
    assert then[0].startswith("SEARCH dockings USING INDEX dockings_of_recorder")
