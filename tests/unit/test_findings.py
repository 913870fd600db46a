"""A finding stays: it can be explained, found again, looked for; never rewritten, never removed."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, findings, migrate
from agent.custody.completeness import explain
from agent.custody.texts import LONGEST, Texts, digest_of
from agent.errors import Reject
from agent.model import printable
from tests.recording import Recorder, Station

Say = Callable[..., Any]


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made, recorder = Station(tmp_path / "one"), Recorder()
    recorder.several(3)
    made.dock(recorder)
    recorder.erase(recorder.take())
    recorder.take()
    assert made.dock(recorder) == ["sequence-gap"]
    yield made
    made.close()


@pytest.fixture
def texts(tmp_path: Path) -> Texts:
    return Texts(tmp_path / "store")


@pytest.fixture
def say(station: Station, texts: Texts) -> Say:
    command = explain.commands(station.catalog, texts)["finding-explain"]
    return lambda **arguments: command(arguments, "uid 7")


def number(station: Station) -> int:
    return int(station.findings()[0]["finding"])


def shown(station: Station, texts: Texts) -> dict[str, Any]:
    [row] = explain.lister(station.catalog, texts)(True, 0, 100)
    return row


def test_an_explanation_closes_a_finding_and_leaves_it_on_record(
    station: Station, texts: Texts, say: Say
) -> None:
    text = "演示时删除，见值班记录 12。"
    say(finding=str(number(station)), text=f"  {text} \n")
    assert station.open() == []
    row = shown(station, texts)
    assert (row["state"], row["explained_by"], row["explanation"]) == ("explained", "uid 7", text)
    [event] = station.events("finding-explained")
    assert event["finding"] == number(station)
    assert text not in json.dumps(event, ensure_ascii=False)


def test_the_text_can_be_erased_and_its_digest_can_still_be_checked(
    station: Station, texts: Texts, say: Say, tmp_path: Path
) -> None:
    say(finding=str(number(station)), text="erased by mistake")
    [event] = station.events("finding-explained")
    [file] = (tmp_path / "store" / "custody" / "texts").iterdir()
    said = json.loads(file.read_bytes())
    assert file.name == f"{event['text']}.json"
    assert digest_of(bytes.fromhex(said["salt"]), said["text"]) == event["text"]
    file.write_text(json.dumps({**said, "text": "something else"}))
    assert shown(station, texts)["explanation"] is None
    file.unlink()
    assert shown(station, texts)["explanation"] is None
    assert shown(station, texts)["explained_by"] == "uid 7"


def test_two_explanations_with_the_same_words_have_nothing_in_common(
    station: Station, texts: Texts, say: Say
) -> None:
    for _ in range(2):
        say(finding=str(number(station)), text="the same")
    first, second = (event["text"] for event in station.events("finding-explained"))
    assert first != second


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        ({"text": "x"}, "no-such-finding"),
        ({"finding": "9999", "text": "x"}, "no-such-finding"),
        ({"finding": "-1", "text": "x"}, "no-such-finding"),
        ({"finding": "1" * 30, "text": "x"}, "no-such-finding"),
        ({"finding": "ours"}, "bad-parameter"),
        ({"finding": "ours", "text": " \n"}, "bad-parameter"),
        ({"finding": "ours", "text": "x" * (LONGEST + 1)}, "bad-parameter"),
    ],
)
def test_what_explains_nothing_is_refused_and_leaves_nothing(
    station: Station, say: Say, arguments: dict[str, str], key: str, tmp_path: Path
) -> None:
    if arguments.get("finding") == "ours":
        arguments = {**arguments, "finding": str(number(station))}
    with pytest.raises(Reject) as raised:
        say(**arguments)
    assert raised.value.key == key
    assert station.events("finding-explained") == []
    assert not (tmp_path / "store").exists()


def test_a_finding_whose_recordings_were_found_needs_no_explanation(station: Station, say: Say) -> None:
    one = number(station)
    assert station.catalog.write(lambda tx: findings.close(tx, one, findings.ELSEWHERE, target="centre"))
    assert not station.catalog.write(lambda tx: findings.close(tx, one, findings.HERE))
    with pytest.raises(Reject, match="finding-is-closed"):
        say(finding=str(one), text="x")


def test_a_text_that_the_disk_refuses_changes_nothing(station: Station, tmp_path: Path, say: Say) -> None:
    (tmp_path / "store").write_text("no folder")
    with pytest.raises(Reject, match="text-not-kept"):
        say(finding=str(number(station)), text="x")
    assert len(station.open()) == 1


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM findings",
        "UPDATE findings SET state = 'explained'",
        "UPDATE findings SET state = 'elsewhere', event = (SELECT max(seq) FROM events)",
        "UPDATE findings SET facts = '{}'",
        "UPDATE findings SET recorder = 'x'",
        "INSERT OR REPLACE INTO findings SELECT * FROM findings",
        "INSERT INTO findings SELECT (SELECT max(seq) FROM events), rule, recorder, docking, facts, found_at,"
        " state, (SELECT max(seq) FROM events), looked FROM findings",
    ],
)
def test_a_raw_connection_cannot_remove_or_rewrite_a_finding(station: Station, statement: str) -> None:
    station.catalog.write(lambda tx: findings.look(tx, number(station), "centre", 1))
    before = station.findings()
    db = sqlite3.connect(station.catalog.path, isolation_level=None)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
    db.close()
    assert station.findings() == before


def test_that_the_centre_does_not_have_it_is_an_event_once(station: Station) -> None:
    one = number(station)
    for _ in range(3):
        station.catalog.write(lambda tx: findings.look(tx, one, "centre", 1))
    assert len(station.events("finding-not-elsewhere")) == 1
    [row] = station.findings()
    assert row["looked"]["centre"]["left"] == 1
    assert row["state"] == "open"


def test_the_facts_of_a_finding_are_what_its_event_tells(station: Station) -> None:
    [row], [event] = station.findings(), station.events("finding")
    assert event == {
        "rule": row["rule"], "recorder": row["recorder"], "docking": row["docking"], **row["facts"],
    }  # fmt: skip
    assert printable(json.dumps(event)) == json.dumps(event)


def test_what_an_older_agent_committed_is_not_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, steps = tmp_path / "old" / "catalog.db", migrate.steps()
    with monkeypatch.context() as older:
        older.setattr(migrate, "steps", lambda: [step for step in steps if step[0] < 7])
        catalog = Catalog.open(path)
    for ended in (1.0, None):
        catalog.write(
            lambda tx, ended=ended: tx.execute(  # type: ignore[misc]
                "INSERT INTO dockings (slot, recorder, fs_id, officer, started, ended)"
                " VALUES ('A1', 'R', 'F', '', 0, ?)",
                (ended,),
            )
        )
    catalog.close()
    catalog = Catalog.open(path)
    rows = catalog.read().execute("SELECT ended, judged FROM dockings ORDER BY id").fetchall()
    assert [tuple(row) for row in rows] == [(1.0, 1), (None, 0)]
    catalog.close()


def test_a_recorder_that_cannot_be_judged_is_told_and_holds_up_no_other(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = Recorder()
    recorder.several(2)
    station.dock(recorder, judge=False)
    with monkeypatch.context() as broken:
        broken.setattr("agent.custody.completeness.judge.judge", lambda known, visit: 1 / 0)
        station.judge.step()
        assert station.judge.failing == {"8888888": "ZeroDivisionError"}
    station.judge.step()
    assert station.judge.failing == {}
    assert station.due() == []
