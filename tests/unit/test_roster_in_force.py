"""Which roster is in force: an entry without names, seen by the rules, and no way to shorten at once."""

import json
import sqlite3
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, intake, retained
from agent.catalog.retained import Row
from agent.clock import Stamp
from agent.config.roster import Line, Roster, parse
from agent.model import Identity, SourceClip
from agent.retention import roster
from agent.retention.book import Book, take_over
from agent.retention.rules import DAY
from tests.retaining import config
from tests.uploading import WHO

BEGIN = 1_800_000_000.0
RULES = config(
    classes={"long": {"centre": "400 days"}},
    rules={
        "unit": {"gives": "long", "unit": "traffic police"},
        "room": {"gives": "long", "source": "interview-room"},
    },
)
NAMED = Line("8888888", "王伟", "traffic police")
OTHER = Line("8888888", "王伟", "patrol")


class House:
    def __init__(self, catalog: Catalog, patch: pytest.MonkeyPatch) -> None:
        self.catalog, self.book = catalog, Book()
        self.now, self.trusted = BEGIN, True
        patch.setattr("agent.catalog.door.stamp", lambda: Stamp(self.now, "boot", self.trusted))
        take_over(catalog, RULES)

    def take(self, *lines: Line) -> None:
        roster.take_over(self.catalog, Roster(lines, "ab" * 32))

    def rules(self, officer: str = "王伟") -> set[str]:
        """Which keep a clip of `officer`."""
        keeping = self.book.keeping(self.catalog.read())
        row = Row(
            1, "stored", "8888888", officer, "", 0, "", "", 0, None, BEGIN, 1, None, None, None, 1, 1, 1, "k"
        )
        return {rule.name for rule, _ in keeping.matched(row).rules} - {"ordinary"}

    def settle(self, days: float, cooling_off: float = 7 * DAY) -> None:
        self.now += days * DAY
        roster.settle(self.catalog, cooling_off, self.now if self.trusted else None)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        rows = self.catalog.read().execute("SELECT body FROM events WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(row[0]) for row in rows]


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    catalog = Catalog.open(tmp_path / "catalog.db")
    yield House(catalog, monkeypatch)
    catalog.close()


def test_the_rules_see_another_roster_at_once(house: House) -> None:
    assert house.rules() == set()
    house.take(NAMED)
    assert house.rules() == {"unit"}
    assert house.rules("000001") == set()
    house.take(NAMED, Line("8888889", "000001", "traffic police"))
    assert house.rules("000001") == {"unit"}


def test_another_roster_is_an_entry_that_names_nobody(house: House) -> None:
    house.take(NAMED, Line("8888889", "000001", "traffic police"))
    house.take(NAMED, Line("8888889", "000001", "traffic police"))
    none, entry = house.entries("roster-changed")
    assert none["lines"] == 0
    assert entry == {"sha256": "ab" * 32, "lines": 2, "recorders": 2, "officers": 2, "units": 1}


def test_a_station_without_a_roster_has_no_entry(house: House) -> None:
    house.take()
    roster.take_over(house.catalog, None)
    assert house.entries("roster-changed") == []
    assert roster.in_force(house.catalog.read()) == Roster()


def test_what_a_roster_says_no_more_protects_until_its_time_is_over(house: House) -> None:
    house.take(NAMED)
    house.take(OTHER)
    assert roster.in_force(house.catalog.read()).units == {"王伟": {"patrol"}}
    assert house.rules() == {"unit"}
    house.settle(6.9)
    assert house.rules() == {"unit"}
    house.settle(0.2)
    assert house.rules() == set()
    assert len(house.entries("roster-over")) == 2
    kept = house.catalog.read().execute("SELECT lines FROM rosters ORDER BY id").fetchall()
    assert [json.loads(row[0]) == [] for row in kept] == [True, True, False]
    house.settle(30)
    assert len(house.entries("roster-over")) == 2


def test_a_clock_that_is_not_trusted_ends_nothing(house: House) -> None:
    house.trusted = False
    house.take(NAMED)
    house.take(OTHER)
    house.settle(3650)
    assert house.rules() == {"unit"}
    house.trusted = True
    house.settle(1)
    assert house.rules() == {"unit"}  # counts from the first trusted moment, which is still to come
    house.catalog.write(lambda tx: intake.begin_docking(tx, "A1", WHO))
    house.settle(8)
    assert house.rules() == set()


def test_a_source_that_changes_does_not_shorten_at_once_either(house: House) -> None:
    house.take(Line("8888888", source="interview-room"))
    assert house.rules() == {"room"}
    house.take()
    assert house.rules() == {"room"}
    sources = roster.protecting(house.catalog.read()).sources_of
    assert sources("8888888") == {"recorder", "interview-room"}
    assert sources("unknown") == {"recorder"}


def test_the_roster_outlives_a_restart_with_a_broken_file(house: House) -> None:
    lines = parse("recorder,officer,unit,from\n8,1,交警,2026-01-05\n".encode(), Path("r")).lines
    house.take(*lines)
    roster.take_over(house.catalog, None)
    assert roster.in_force(house.catalog.read()).lines == lines


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM rosters",
        "UPDATE rosters SET lines = '[]'",
        "UPDATE rosters SET over = 1, lines = '[]'",
        "INSERT INTO rosters (id, lines) VALUES (1, '[]')",
        "INSERT INTO rosters (id, lines) VALUES ((SELECT max(seq) FROM events), '[]')",
    ],
)
def test_a_raw_connection_changes_no_roster(house: House, statement: str) -> None:
    house.take(NAMED)
    house.take(OTHER)

    def meddle(tx: sqlite3.Connection) -> None:
        tx.execute(statement)

    with pytest.raises(sqlite3.IntegrityError):
        house.catalog.write(meddle)


def test_the_rosters_officer_is_taken_only_where_the_recorder_names_none(house: House) -> None:
    one = Roster((Line("8888888", "A", last=date(2026, 1, 31)), Line("8888888", "B", first=date(2026, 2, 1))))
    sources = [SourceClip("1", 1, 1), SourceClip("2", 1, 1, officer="own")]

    def officer_of(source: SourceClip) -> str:
        return one.officer("8888888", date(2026, 2, 1))

    def see(identity: Identity) -> list[str]:
        def work(tx: sqlite3.Connection) -> list[int]:
            docking = intake.begin_docking(tx, "A1", identity)
            return intake.see(
                tx, docking, identity, sources, lambda source: one.officer("8888888", date(2026, 2, 1))
            )

        clips = house.catalog.write(work)
        rows = [retained.one(house.catalog.read(), clip) for clip in clips]
        return [row.officer for row in rows if row]

    assert see(Identity("8888888", True, "F")) == ["B", "own"]
    assert see(Identity("8888888", True, "F", officer="said")) == ["said", "own"]
    assert [entry.get("officer_by") for entry in house.entries("seen")] == ["roster", None, None, None]
