"""`recorder-station centre`, as an archivist runs it."""

import csv
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from agent.archive.folder import FolderStore
from agent.cli import app
from tests.archived import LATER, ONE, TWO, Sites
from tests.uploading import content


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    """Two clips whose time is over, and ten that were stored later."""
    made = Sites(tmp_path)
    monkeypatch.setattr("agent.catalog.door.stamp", made.stamp)
    made.now = time.time() - LATER
    station = made.station()
    for number in range(2):
        station.store(f"{number}.mp4", content(1000, number))
    made.now = time.time()
    for number in range(2, 12):
        station.store(f"{number}.mp4", content(1000, number))
    made.tell()
    yield made
    made.close()


def run(sites: Sites, *words: str, target: dict[str, object] | None = None) -> Result:
    file = sites.root / "archive.yaml"
    said = target or {"kind": "folder", "path": str(sites.root / "share"), "local": True}
    file.write_text(yaml.safe_dump({"targets": {"centre": said}, "station": {"language": "en"}}))
    return CliRunner().invoke(app, ["centre", *words, "--config", str(file)])


def test_an_archivist_plans_looks_and_erases(sites: Sites) -> None:
    file = str(sites.root / "list.jsonl")
    shown = run(sites, "plan", "--out", file)
    assert shown.exit_code == 0, shown.output
    assert "2 of 12 clips" in shown.output
    assert "a rule keeps it" in shown.output
    told = json.loads(run(sites, "plan", "--json").stdout)
    assert (told["clips"], told["going"]["clips"], told["kept"]["kept-by-rule"]["clips"]) == (12, 2, 10)
    assert [one["doubt"] for one in told["stations"]] == [""]
    rows = list(csv.DictReader(io.StringIO(run(sites, "plan", "--csv").stdout)))
    assert sorted(rows[0]) == ["key", "rule", "sha256", "size", "until"]
    assert len(rows) == 2
    said = ("--name", "Wang", "--reason", "over")
    refused = run(sites, "expire", file, *said)
    assert refused.exit_code == 1
    assert "16.7 %" in refused.output
    done = run(sites, "expire", file, *said, "--most", "20")
    assert done.exit_code == 0, done.output
    assert "2 clips" in done.output
    assert json.loads(run(sites, "plan", "--json").stdout)["clips"] == 10
    again = run(sites, "expire", file, *said, "--most", "20")
    assert (again.exit_code, "erased already" in again.output) == (1, True)


def test_what_stays_of_a_list_is_told_and_ends_with_one(sites: Sites) -> None:
    file = str(sites.root / "list.jsonl")
    assert run(sites, "plan", "--out", file).exit_code == 0
    sites.age(by=8 * 86400.0)
    done = run(sites, "expire", file, "--name", "W", "--reason", "r", "--most", "50", "--lang", "zh")
    assert done.exit_code == 1
    assert "太久" in done.output


def test_what_cannot_be_done_is_said(sites: Sites) -> None:
    said = ("--name", "W", "--reason", "r")
    assert "cannot be read" in run(sites, "expire", str(sites.root / "nothing"), *said).output
    (sites.root / "other").write_text("{}")
    assert "no list" in run(sites, "expire", str(sites.root / "other"), *said).output
    assert "--name" in run(sites, "expire", str(sites.root / "other"), "--name", " ", "--reason", "r").output
    assert run(sites, "plan", "--target", "elsewhere").exit_code == 1
    tus = {"kind": "tus", "url": "http://127.0.0.1:1", "plaintext": True}
    assert "folders and buckets" in run(sites, "plan", target=tus).output


def test_a_share_that_is_not_mounted_is_no_empty_store(sites: Sites) -> None:
    empty = sites.root / "empty"
    empty.mkdir()
    shown = run(sites, "plan", target={"kind": "folder", "path": str(empty), "local": True})
    assert shown.exit_code == 1
    assert list(empty.iterdir()) == []
    with pytest.raises(Exception, match="target-not-mounted"):
        FolderStore(empty).place()


def test_every_station_is_listed_with_its_address_and_its_last_report(sites: Sites) -> None:
    shown = run(sites, "stations")
    assert shown.exit_code == 0, shown.output
    assert ONE in shown.output
    told(sites, ONE, station="辽阳\u202e一队", address="10.0.0.5:8080", version="1.2.3", written_at=sites.now)
    [row] = json.loads(run(sites, "stations", "--json").stdout)
    assert (row["id"], row["address"], row["version"]) == (ONE, "10.0.0.5:8080", "1.2.3")
    assert row["written_at"].startswith(time.strftime("%Y-%m-%dT%H:%M", time.localtime(sites.now)))
    shown = run(sites, "stations")
    assert "辽阳" in shown.output
    assert "10.0.0.5:8080" in shown.output
    assert "\u202e" not in shown.output


def test_prometheus_gets_those_with_an_address_and_people_hear_of_the_others(sites: Sites) -> None:
    told(sites, ONE, station="one", address="10.0.0.5:8080")
    told(sites, TWO, station="two", address="[2001:db8::7]:8443")
    told(sites, "3" * 32, station="three", address="")
    told(sites, "4" * 32, station="four", address="10.0.0.5:8080/evil?x=")
    told(sites, "5" * 32, station="five", address=["10.0.0.5:8080"], written_at=10**400)
    (sites.root / "share" / "stations" / ("6" * 32)).mkdir()
    (sites.root / "share" / "stations" / "no-station").mkdir()
    ran = run(sites, "stations", "--file-sd")
    assert ran.exit_code == 0
    assert json.loads(ran.stdout) == [
        {"targets": ["10.0.0.5:8080"], "labels": {"station": ONE, "name": "one"}},
        {"targets": ["[2001:db8::7]:8443"], "labels": {"station": TWO, "name": "two"}},
    ]
    assert "4 stations tell no address" in ran.stderr
    assert len(json.loads(run(sites, "stations", "--json").stdout)) == 6
    assert run(sites, "stations").exit_code == 0


def test_a_centre_that_is_not_there_has_no_empty_list(sites: Sites) -> None:
    empty = sites.root / "empty"
    empty.mkdir()
    ran = run(sites, "stations", "--file-sd", target={"kind": "folder", "path": str(empty), "local": True})
    assert (ran.exit_code, ran.stdout) == (1, "")


def told(sites: Sites, id: str, **said: object) -> None:
    """The status that a station laid."""
    file = sites.root / "share" / "stations" / id / "status.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(said))
