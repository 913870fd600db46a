"""Who knows of an issue is told beside it until it is over; one that comes back is nobody's knowledge."""

import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.catalog import Catalog, acknowledged
from agent.custody.texts import Texts
from agent.errors import Reject
from agent.status.acknowledging import Acknowledging
from agent.status.health import HealthBoard, Issue, Severity
from tests.uploading import eventually

CRITICAL, WARNING, INFO = Severity.CRITICAL, Severity.WARNING, Severity.INFO
STUCK = Issue("slot-stuck", WARNING, {"slot": "3"}, "3")
BY = {"person": "王伟", "note": "ordered a cable"}
MINUTES = 60.0


@dataclass
class House:
    folder: Path
    catalog: Catalog
    found: list[Issue] = field(default_factory=list)
    now: float = 0.0

    def __post_init__(self) -> None:
        self.texts = Texts(self.folder)
        self.start()

    def start(self) -> None:
        """The agent, or the next one."""
        self.acknowledging = Acknowledging(self.catalog, self.texts.said, self.texts.read, lambda: self.now)
        self.board = HealthBoard({"all": lambda: self.found}, lambda: self.now, mark=self.acknowledging.mark)

    def acknowledge(self, key: str, **said: str) -> None:
        self.acknowledging.commands(self.look)["issue-acknowledge"]({"key": key, **BY, **said}, "uid 0")

    def look(self) -> list[Issue]:
        self.now += 2.0
        return self.board.issues()

    def known(self) -> list[bool]:
        return [issue.acknowledged is not None for issue in self.look()]

    def entries(self, kind: str) -> list[dict[str, object]]:
        rows = self.catalog.read().execute("SELECT body FROM events WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(row[0]) for row in rows.fetchall()]


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    catalog = Catalog.open(tmp_path / "catalog.db")
    yield House(tmp_path, catalog, [STUCK])
    catalog.close()


def test_an_acknowledged_issue_stays_listed_with_who_knows_of_it(house: House) -> None:
    house.acknowledge("slot-stuck")
    [issue] = house.look()
    assert (issue.key, issue.severity) == ("slot-stuck", WARNING)
    assert issue.acknowledged is not None
    assert (issue.acknowledged.by, issue.acknowledged.note) == ("王伟", "ordered a cable")
    [entry] = house.entries("issue-acknowledged")
    told = {name: entry[name] for name in ("key", "subject", "severity", "who")}
    assert told == {"key": "slot-stuck", "subject": "3", "severity": "warning", "who": "uid 0"}


def test_an_issue_that_went_away_and_comes_back_is_nobodys_knowledge(house: House) -> None:
    house.acknowledge("slot-stuck")
    assert house.known() == [True]
    house.found = []
    assert house.look() == []
    house.found = [STUCK]
    assert house.known() == [False]  # at once, committed or not
    eventually(lambda: house.entries("acknowledgement-ended") != [])
    assert house.entries("acknowledgement-ended")[0]["why"] == "gone"
    house.acknowledge("slot-stuck")
    assert house.known() == [True]


@pytest.mark.parametrize(("now", "known"), [(CRITICAL, False), (WARNING, True), (INFO, True)])
def test_an_issue_that_becomes_more_severe_is_nobodys_knowledge(
    house: House, now: Severity, known: bool
) -> None:
    house.acknowledge("slot-stuck")
    house.found = [Issue("slot-stuck", now, {}, "3")]
    assert house.known() == [known]
    house.found = [STUCK]
    assert house.known() == [known]  # nor is it again when it is better


def test_it_outlives_a_restart_also_while_its_issue_is_not_found_again_yet(house: House) -> None:
    house.acknowledge("slot-stuck")
    house.found = []
    house.start()
    assert house.look() == []
    house.now += 10 * MINUTES
    house.found = [STUCK]
    assert house.known() == [True]
    house.found = []
    house.start()
    house.now += 16 * MINUTES
    assert house.look() == []
    house.found = [STUCK]
    assert house.known() == [False]


def test_one_of_several_has_to_be_named_and_is_the_only_one(house: House) -> None:
    house.found = [STUCK, Issue("slot-stuck", WARNING, {}, "4"), Issue("rtc-missing", INFO)]
    with pytest.raises(Reject, match="which-issue") as refused:
        house.acknowledge("slot-stuck")
    assert refused.value.params["subjects"] == ["3", "4"]
    house.acknowledge("slot-stuck", subject="4")
    house.acknowledge("rtc-missing")
    assert house.known() == [False, True, True]


def test_what_cannot_be_acknowledged_is_refused(house: House) -> None:
    for key, said in (("no-target", {}), ("slot-stuck", {"subject": "4"})):
        with pytest.raises(Reject, match="no-such-issue"):
            house.acknowledge(key, **said)
    with pytest.raises(Reject, match="bad-parameter"):
        house.acknowledge("slot-stuck", note=" ")
    house.acknowledge("slot-stuck")
    with pytest.raises(Reject, match="issue-acknowledged"):
        house.acknowledge("slot-stuck")
    assert len(house.entries("issue-acknowledged")) == 1


def test_what_was_written_is_gone_once_it_is_erased(house: House) -> None:
    house.acknowledge("slot-stuck")
    for text in (house.folder / "custody/texts").iterdir():
        text.unlink()
    [issue] = house.look()
    assert issue.acknowledged is not None
    assert (issue.acknowledged.by, issue.acknowledged.note) == ("uid 0", "")


def test_a_catalog_that_cannot_be_read_hides_no_issue(house: House) -> None:
    def broken(issues: object) -> list[Issue]:
        raise sqlite3.DatabaseError("malformed")

    board = HealthBoard({"all": lambda: [STUCK]}, mark=broken)
    assert [issue.key for issue in board.issues()] == ["slot-stuck", "check-failed"]


def test_a_raw_connection_acknowledges_nothing(house: House) -> None:
    house.acknowledge("slot-stuck")
    [row] = acknowledged.standing(house.catalog.read())
    for sql in (
        f"UPDATE acknowledgements SET ended = {row.id}",
        "UPDATE acknowledgements SET severity = 'critical'",
        "DELETE FROM acknowledgements",
        "INSERT INTO acknowledgements (id, key, subject, severity) VALUES (99, 'a', '', 'info')",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            house.catalog.write(lambda tx, sql=sql: tx.execute(sql))  # type: ignore[misc]
