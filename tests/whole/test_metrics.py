"""The real agent under a real Prometheus, which found it by what it told the centre of itself."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.web.address import reachable
from scripts.demo_process import free_ports
from tests import here
from tests.agent_process import Agent
from tests.scraping import Scrape, parsed
from tests.servers.process import get
from tests.servers.prometheus import Prometheus, promtool
from tests.uploading import eventually
from tests.web.outside import certificate
from tests.web.test_metrics import DOCS, ROW

#: A report every half second: the first one comes before the target has said who it is.
HASTY = "from agent.upload.report import reports; reports.FIRST = reports.EVERY = 0.5\n"


LAN = free_ports(1)[0]


@pytest.fixture
def port() -> int:
    return free_ports(1)[0]


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    return certificate(tmp_path, reachable("0.0.0.0", LAN).rpartition(":")[0])[0]


@pytest.fixture
def agent(tmp_path: Path, port: int, authority: Path) -> Iterator[Agent]:
    shown = {"certificate": str(authority), "certificate_key": str(authority.with_suffix(".key"))}
    web = {"listen": f"127.0.0.1:{port}", "lan": f"0.0.0.0:{LAN}", **shown}
    with Agent(tmp_path, patch=HASTY, web=web) as agent:
        yield agent


def scrape(port: int) -> Scrape:
    return parsed(get(f"http://127.0.0.1:{port}/metrics").text)


def soon(port: int, condition: Callable[[Scrape], bool]) -> Scrape:
    eventually(lambda: condition(scrape(port)))
    return scrape(port)


def test_the_figures_of_a_real_agent_are_those_of_what_it_did(agent: Agent, port: int) -> None:
    agent.up()
    files = agent.recorder("0000001", clips=6)
    size = sum((agent.shelf / "0000001" / file).stat().st_size for file in files)
    agent.dock("0000001", "A1")
    agent.until_confirmed(6)
    found = soon(port, lambda now: now.known("log_bytes") and now.value("log_unsigned_entries") == 0)
    for name in ("collected", "uploaded", "confirmed"):
        assert found.value(f"{name}_clips_total") == 6
        assert found.value(f"{name}_bytes_total") == size
    assert found.value("clips", state="confirmed") == 6
    assert found.value("clips_bytes", state="confirmed") == size
    assert found.value("slots", state="collected") == 1
    assert found.value("oldest_unconfirmed_clip_age_seconds") == 0
    assert found.value("target_up", target="centre") == 1
    assert 0 < found.value("target_answer_seconds", target="centre") < 60
    assert found.value("upload_deadline_seconds") == 86400
    assert found.value("log_entries") > 6
    log = agent.store / "custody" / "1"
    assert found.value("log_bytes") == sum(one.stat().st_size for one in log.rglob("*") if one.is_file())
    assert {"supervisor", "dock", "source rack"} <= {
        have["worker"] for have, _ in found.samples["recorder_station_worker_idle_seconds"]
    }
    assert all(value == 0 for _, value in found.samples["recorder_station_unmeasured"])
    assert {name: kind for name, kind, _ in ROW.findall(DOCS.read_text())} == found.types


def test_promtool_finds_nothing_wrong_with_what_a_real_agent_exposes(agent: Agent, port: int) -> None:
    here.require("promtool")
    agent.up()
    assert promtool("check", "metrics", given=get(f"http://127.0.0.1:{port}/metrics").text) == ""


def test_a_kill_is_an_unsafe_shutdown_and_a_stop_is_none(agent: Agent, port: int) -> None:
    agent.up()
    assert scrape(port).value("unsafe_shutdowns_total") == 0
    agent.kill()
    agent.up()
    assert scrape(port).value("unsafe_shutdowns_total") == 1
    assert agent.stop() == 0
    agent.up()
    assert scrape(port).value("unsafe_shutdowns_total") == 1


def test_a_target_that_is_gone_is_down(agent: Agent, port: int) -> None:
    agent.up()
    soon(port, lambda now: now.value("target_up", target="centre") == 1)
    agent.centre.rename(agent.centre.with_name("away"))
    soon(port, lambda now: now.value("target_up", target="centre") == 0)


def test_prometheus_finds_a_station_by_the_list_of_the_centre_and_sees_it_fall_silent(
    agent: Agent, authority: Path, tmp_path: Path
) -> None:
    here.require("prometheus", "network")
    agent.up()
    eventually(lambda: json.loads(agent.run("centre", "stations", "--file-sd").stdout or "[]") != [])
    listed = agent.run("centre", "stations", "--file-sd").stdout
    [entry] = json.loads(listed)
    assert entry["targets"] == [reachable("0.0.0.0", LAN)]
    secret = json.loads(agent.run("token", "make", "prometheus", "--json").stdout)["secret"]
    with Prometheus(tmp_path / "prometheus", listed, (authority, secret)) as server:
        found = server.until("recorder_station_build_info")
        assert found["metric"]["name"] == "test"
        assert found["metric"]["station"] == entry["labels"]["station"]
        assert float(server.until("up == 1")["value"][1]) == 1
        agent.kill()
        server.until("up == 0")
        server.until('ALERTS{alertname="StationSilent", alertstate="pending", name="test"}')
