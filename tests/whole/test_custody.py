"""The log of a whole station: kept while it works, checked beside it, and a break is told."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.agent_process import Agent


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(tmp_path) as agent:
        yield agent


def audited(agent: Agent) -> dict[str, Any]:
    ran = agent.run("log", "audit", "--json")
    told: dict[str, Any] = json.loads(ran.stdout)
    assert ran.returncode == (0 if told["whole"] else 1)
    return told


def troubles(agent: Agent) -> list[str]:
    status = agent.status()
    assert status is not None
    return [issue["key"] for issue in status["health"] if issue["key"].startswith("log-")]


def test_everything_that_happens_is_in_the_log_and_a_lost_key_is_told(agent: Agent) -> None:
    agent.up()
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    beside = audited(agent)
    assert beside["findings"] == []
    assert troubles(agent) == []
    assert agent.stop() == 0
    after = audited(agent)
    assert after["findings"] == []
    assert after["entries"] == after["events"] > 6 * 5
    (agent.store / "custody" / "key").unlink()
    agent.up()
    agent.until(lambda _: troubles(agent) == ["log-key-lost"])
    assert agent.stop() == 0
    again = audited(agent)
    assert again["findings"] == []
    assert again["logs"] == 2


def test_a_log_that_cannot_be_written_holds_up_no_clip(agent: Agent) -> None:
    agent.store.mkdir()
    (agent.store / "custody").write_bytes(b"in the way")
    agent.up()
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    agent.until(lambda _: troubles(agent) == ["log-failed"])
    assert agent.stop() == 0
    (agent.store / "custody").unlink()
    agent.up()
    agent.until(lambda _: (agent.store / "custody" / "1" / "heads").exists())
    assert agent.stop() == 0
    assert audited(agent)["findings"] == []


def test_a_rebuilt_catalog_tells_the_same_story_and_its_log_goes_on(agent: Agent) -> None:
    agent.up()
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    before = {clip["key"]: clip["id"] for clip in agent.clips()}
    time.sleep(2)  # the log is a second behind, at most
    agent.kill()
    shutil.rmtree(agent.store / "catalog")
    refused = agent.run("run")
    assert refused.returncode == 1
    assert "recorder-station catalog rebuild" in refused.stderr
    rebuilt = agent.run("catalog", "rebuild")
    assert rebuilt.returncode == 0, rebuilt.stderr
    assert "The log goes on." in rebuilt.stdout
    agent.up()
    agent.until_confirmed(6)
    assert {clip["key"]: clip["id"] for clip in agent.clips()} == before
    assert troubles(agent) == []
    assert agent.stop() == 0
    told = audited(agent)
    assert told["findings"] == []
    assert told["logs"] == 1


def test_a_station_whose_disk_is_lost_has_its_story_at_the_centre(agent: Agent) -> None:
    agent.up()
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    name = (agent.store / "station-id").read_text()
    kept = agent.centre / "stations" / name.strip() / "custody"
    agent.until(lambda _: list(kept.glob("1/heads/*")))
    agent.kill()
    shutil.rmtree(agent.store)
    agent.store.mkdir()
    (agent.store / "station-id").write_text(name)
    shutil.copytree(kept, agent.store / "custody")
    refused = agent.run("run")
    assert refused.returncode == 1
    assert "recorder-station catalog rebuild" in refused.stderr
    rebuilt = agent.run("catalog", "rebuild")
    assert "Log 1 was read up to event " in rebuilt.stdout, rebuilt.stderr
    agent.up()
    agent.until(lambda _: troubles(agent) == ["log-lost"])
    assert agent.stop() == 0
    told = audited(agent)
    assert told["findings"] == []
    assert told["logs"] == 2


def test_a_catalog_whose_log_was_altered_gets_a_log_that_names_the_one_before(agent: Agent) -> None:
    agent.up()
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    assert agent.stop() == 0
    entries = agent.store / "custody/1/tile/entries/000"
    entries.write_bytes(entries.read_bytes().replace(b"0000001", b"0000002", 1))
    rebuilt = agent.run("catalog", "rebuild")
    assert rebuilt.returncode == 1
    assert "Log 1 cannot be believed" in rebuilt.stdout
    agent.up()
    agent.until(lambda _: troubles(agent) == ["log-catalog-new"])
    agent.until_confirmed(6)
    assert agent.stop() == 0


def test_the_key_is_changed_and_another_log_begun_while_the_agent_works(agent: Agent) -> None:
    said = ("--name", "王伟", "--reason", "年度更换", "--lang", "en")
    agent.up()
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    agent.until(lambda _: (agent.store / "custody" / "1" / "heads").exists())
    old = (agent.store / "custody" / "key").read_bytes()
    assert agent.run("log", "rekey", "--name", "王伟").returncode == 2
    done = agent.run("log", "rekey", *said)
    assert (done.returncode, "Log 2 goes on" in done.stdout) == (0, True), done.stderr
    assert (agent.store / "custody" / "key").read_bytes() != old
    done = agent.run("log", "begin", *said)
    assert (done.returncode, "number 3" in done.stdout) == (0, True), done.stderr
    agent.until(lambda _: (agent.store / "custody" / "3" / "heads").exists())
    assert troubles(agent) == []
    beside = audited(agent)
    assert (beside["findings"], beside["logs"]) == ([], 3)
    assert agent.run("receipt", "--clip", str(agent.clips()[0]["id"])).returncode == 0
    assert "年度" not in agent.log.read_text()
    assert agent.stop() == 0
    agent.up()
    agent.until_confirmed(6)
    assert troubles(agent) == []
    assert agent.stop() == 0
    assert audited(agent)["findings"] == []
    assert agent.run("log", "rekey", *said).returncode == 3
