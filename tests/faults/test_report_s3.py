"""A station and its bucket over a bad network: what the centre knows of it is what happened."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.errors import StationError
from agent.upload.report.turn import Author, Report
from agent.upload.targets.base import go_on
from agent.upload.targets.documents import Documents
from agent.upload.targets.s3.bucket import xml_of
from tests import centre
from tests.contract.s3_kit import S3Kit
from tests.servers.faults import Fault, Flip, LoseResponse, Reset, Rule, s3_error
from tests.servers.proxy import FaultProxy
from tests.uploading import Station, content

ID = "0123456789abcdef0123456789abcdef"
OTHER = "f" * 32


def made(folder: Path, kit: S3Kit, url: str = "") -> Station:
    target = kit.target_at(url, timeouts=(10.0, 10.0)) if url else kit.target()
    return Station(folder, {"centre": target})


def report(station: Station, who: str = ID, instance: str = "one") -> Report:
    target = station.targets["centre"]
    assert isinstance(target, Documents)
    author = Author(who, instance, lambda: {"station": "test"})
    return Report(author, station.uploads.generation, target, go_on, station.clock)


def happened(station: Station) -> list[dict[str, Any]]:
    rows = station.catalog.read().execute("SELECT * FROM events ORDER BY seq")
    return [
        {**dict(row), "body": json.loads(row["body"]), "clock_trusted": bool(row["clock_trusted"])}
        for row in rows
    ]


def objects(kit: S3Kit) -> dict[str, str]:
    """SHA-256 of every clip that lies in the bucket, by its key."""
    listed = xml_of(kit._admin._ask("GET", "", {"list-type": "2", "prefix": "clips/"}))
    names = [node.text or "" for node in listed.iter() if node.tag.rpartition("}")[2] == "Key"]
    return {
        name.removeprefix("clips/"): hashlib.sha256(kit._admin.get(name) or b"").hexdigest()
        for name in names
        if not name.endswith(".json")
    }


def test_a_disk_that_is_destroyed_has_told_the_centre_which_clips_are_confirmed(
    kit: S3Kit, tmp_path: Path
) -> None:
    station = made(tmp_path / "one", kit)
    reporting = report(station)
    for number in range(3):
        station.store(f"{number}.mp4", content(1000, number), important=number == 1)
        station.run()
        reporting.turn()
    before = happened(station)
    station.store("late.mp4", content(5000))  # after the last report
    station.close()
    shutil.rmtree(tmp_path / "one")

    log = centre.events(kit._admin.get, ID)
    assert log == before
    assert centre.confirmed(log) == objects(kit)
    assert len(objects(kit)) == 3


def test_two_stations_in_one_bucket_do_not_disturb_each_other(kit: S3Kit, tmp_path: Path) -> None:
    stations = {who: made(tmp_path / who, kit) for who in (ID, OTHER)}
    reports = {who: report(station, who) for who, station in stations.items()}
    for number in range(2):
        for who, station in stations.items():
            station.store(f"{number}.mp4", content(1000 + (who is OTHER), number))
            station.run()
            reports[who].turn()
    for who, station in stations.items():
        assert centre.events(kit._admin.get, who) == happened(station)
        assert not reports[who].written_by_two()
        station.close()


@pytest.mark.parametrize(
    "fault",
    [LoseResponse(), Reset(after=100), Flip(at=30), s3_error("SlowDown"), s3_error("AccessDenied")],
    ids=lambda fault: type(fault).__name__,
)
@pytest.mark.parametrize("path", [r"/log/", r"/clips/\d{4}-", r"/dockings/", r"status\.json"])
def test_whatever_happens_to_a_write_the_next_turn_loses_and_doubles_nothing(
    kit: S3Kit, proxy: FaultProxy, tmp_path: Path, path: str, fault: Fault
) -> None:
    station = made(tmp_path, kit, proxy.url)
    station.store("1.mp4", content(1000))
    station.run()
    proxy.add(Rule(fault, "PUT", path))
    reporting = report(station)
    with pytest.raises(StationError):
        reporting.turn()
    station.store("2.mp4", content(2000))
    station.run()
    reporting.turn()
    assert centre.events(kit._admin.get, ID) == happened(station)
    assert not reporting.written_by_two()
    station.close()
