"""The centre knows a station, also one that was killed and whose disk is gone."""

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests import centre
from tests.agent_process import Agent

#: Every five minutes is too seldom for a test.
OFTEN = "from agent.upload.report import reports; reports.FIRST = reports.EVERY = 0.1\n"


def reader(root: Path) -> Callable[[str], bytes | None]:
    def fetch(path: str) -> bytes | None:
        return (root / path).read_bytes() if (root / path).exists() else None

    return fetch


def happened(store: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(f"file:{store}/catalog/catalog.db?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return [
            {**dict(row), "body": json.loads(row["body"]), "clock_trusted": bool(row["clock_trusted"])}
            for row in db.execute("SELECT * FROM events ORDER BY seq")
        ]


def clips_told(root: Path, who: str) -> dict[str, str]:
    """Key and SHA-256, by the lines of the dockings' documents."""
    files = (root / "stations" / who).glob("*/clips/*/*.jsonl")
    told = [line for path in files for line in centre.lines(path.read_bytes())]
    return {line["key"]: line["sha256"] for line in told}


@pytest.mark.parametrize("killed", [False, True])
def test_a_station_whose_disk_is_destroyed_has_lost_no_part_of_its_story(
    tmp_path: Path, killed: bool
) -> None:
    fetch = reader(tmp_path / "centre")
    with Agent(tmp_path, patch=OFTEN) as agent:
        agent.up()
        for number in ("0000001", "0000002"):
            agent.recorder(number)
            agent.dock(number)
        agent.until_confirmed(12)
        who = (agent.store / "station-id").read_text().strip()
        if killed:
            agent.kill()
            agent.recorder("0000003")
            agent.dock("0000003")
            agent.up()
            agent.until_confirmed(18)
            assert (agent.store / "station-id").read_text().strip() == who
        docked = {"0000001", "0000002"} | ({"0000003"} if killed else set())
        agent.until(lambda _: centre.events(fetch, who) == happened(agent.store))
        agent.until(lambda _: {slot["recorder"] for slot in centre.status(fetch, who)["slots"]} == docked)
        agent.until(lambda _: len(clips_told(tmp_path / "centre", who)) == 6 * len(docked))
        status = centre.status(fetch, who)
        assert status["station"] == "test"
        assert not {issue["key"] for issue in status["health"]} & {"station-id-twice", "station-not-told"}
        agent.kill()
        shutil.rmtree(agent.store)

    confirmed = centre.confirmed(centre.events(fetch, who))
    clips = tmp_path / "centre" / "clips"
    there = {
        str(path.relative_to(clips)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in clips.rglob("*")
        if path.is_file() and path.suffix != ".json"
    }
    assert confirmed == there
    assert len(there) == 6 * len(docked)
    assert clips_told(tmp_path / "centre", who) == there


def test_two_agents_tell_one_centre_each_its_own(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    target = {"centre": {"kind": "folder", "path": str(shared), "local": True}}
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with (
        Agent(tmp_path / "one", patch=OFTEN, targets=target) as one,
        Agent(tmp_path / "two", patch=OFTEN, targets=target) as two,
    ):
        for number, agent in (("0000001", one), ("0000002", two)):
            agent.up()
            agent.recorder(number)
            agent.dock(number)
        for agent in (one, two):
            agent.until_confirmed(6)
            who = (agent.store / "station-id").read_text().strip()
            agent.until(
                lambda _, who=who, agent=agent: (  # type: ignore[misc]
                    centre.events(reader(shared), who) == happened(agent.store)
                )
            )
            assert agent.stop() == 0
    assert len(list((shared / "stations").iterdir())) == 2
