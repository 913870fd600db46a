"""`retention explain` tells by which clock the agent goes, not by what this process makes of the time."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from agent.catalog import Catalog, beside, meta
from agent.catalog.home import catalog_path
from agent.cli.retention import app
from agent.clock import boot_id
from tests import uploading
from tests.web.station import Station

DAY = 86400.0


@pytest.fixture
def station(tmp_path: Path) -> Station:
    """An agent with one clip, at rest; its store is there to be read."""
    house = uploading.Station(tmp_path)
    house.store("1.mp4", b"1")
    house.catalog.close()
    catalog_path(tmp_path).parent.mkdir()
    shutil.move(tmp_path / "catalog.db", catalog_path(tmp_path))
    (tmp_path / "web").mkdir()
    made = Station(tmp_path / "web")
    text = f"store: {{path: {tmp_path}}}\nweb: {{socket: {made.socket}}}\n"
    (tmp_path / "station.yaml").write_text(text)
    return made


def believed(root: Path) -> bool:
    with beside.reading(root) as db:
        [(clip,)] = db.execute("SELECT id FROM clips").fetchall()
    done = CliRunner().invoke(app, ["explain", str(clip), "--json", "--config", str(root / "station.yaml")])
    assert done.exit_code == 0, done.output
    return "kept-clock-untrusted" not in [one["key"] for one in json.loads(done.stdout)["hinders"]]


@pytest.mark.parametrize("ours", [True, False])
@pytest.mark.parametrize("agents", [True, False])
def test_what_the_agent_says_of_its_clock_is_believed(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: bool, agents: bool
) -> None:
    monkeypatch.setattr("agent.clock.synchronised", lambda: ours)
    station.trusted = agents
    with station:
        assert believed(tmp_path) is agents


@pytest.mark.parametrize(
    ("kept", "good"),
    [
        ({}, True),
        ({"clock-jumped": "1"}, False),
        ({"clock-last": json.dumps({"wall": time.time() + 3 * DAY, "passed": 1.0, "boot": "other"})}, False),
        ({"clock-last": json.dumps({"wall": time.time() - DAY, "passed": 1.0, "boot": "other"})}, True),
    ],
)
def test_without_an_agent_the_next_one_would_judge_by_what_the_last_one_kept(
    station: Station,
    tmp_path: Path,
    trusted_clock: Any,
    kept: dict[str, str],
    good: bool,
) -> None:
    station.catalog.close()
    catalog = Catalog.open(catalog_path(tmp_path))
    for key, value in kept.items():
        catalog.write(lambda tx, key=key, value=value: meta.put(tx, key, value))  # type: ignore[misc]
    catalog.close()
    assert believed(tmp_path) is good


@pytest.mark.parametrize(("boot", "good"), [("", True), ("another", False)])
def test_what_an_administrator_vouched_for_counts_until_the_machine_is_started_anew(
    station: Station, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boot: str, good: bool
) -> None:
    monkeypatch.setattr("agent.clock.synchronised", lambda: False)
    station.catalog.close()
    catalog = Catalog.open(catalog_path(tmp_path))
    ahead = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    vouched = json.dumps({"ahead": ahead, "boot": boot or boot_id()})
    catalog.write(lambda tx: meta.put(tx, "clock-vouched", vouched))
    catalog.close()
    assert believed(tmp_path) is good
