"""The daemon from its start to its end: systemd's protocol, the store for one agent alone, a configuration
that changes under it, a clean stop at any time."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent_process import Agent, Systemd, slot
from tests.here import require

PROMISED_STOP = 15.0  # seconds; the agent promises ten, the rest is for a machine that is busy with us
MIB = 1 << 20


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(tmp_path) as agent:
        yield agent


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    with Systemd(tmp_path) as systemd:
        yield systemd


def test_systemd_hears_of_the_start_of_progress_and_of_the_end(agent: Agent, systemd: Systemd) -> None:
    agent.environment = systemd.environment(watchdog=1.5)
    agent.start()
    heard = systemd.until("READY=1")
    assert "WATCHDOG=1" not in heard[: heard.index("READY=1")]
    status = agent.status()
    assert status is not None
    assert status["ready"]
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    systemd.until("STATUS=1 recorders docked, 0 clips to upload, 6 confirmed")
    systemd.until("WATCHDOG=1", after=len(systemd.heard()), times=2)
    assert "STOPPING=1" not in systemd.heard()
    assert agent.stop() == 0
    assert systemd.until("STOPPING=1")[-1] == "STOPPING=1"


def test_a_stop_under_load_is_clean_and_the_next_start_goes_on(agent: Agent) -> None:
    """While four slots copy and what is stored is sent."""
    agent.up()
    for number in ("0000001", "0000002", "0000003", "0000004"):
        agent.recorder(number, clips=5, size=12 * MIB, letters="R")
        agent.dock(number)
    agent.until(
        lambda status: (
            status["clips"]["copying"] > 0
            and status["clips"]["confirmed"] > 0
            and all(one["state"] == "collecting" for one in status["slots"])
        )
    )
    assert agent.stop(within=PROMISED_STOP) == 0
    assert not Path(agent.config["web"]["socket"]).exists()
    agent.up()
    status = agent.status()
    assert status is not None
    assert "catalog-checking" not in {issue["key"] for issue in status["health"]}
    for number in ("0000001", "0000002", "0000003", "0000004"):
        agent.until_slot(number, "collected")
    agent.until_confirmed(20)
    assert list((agent.store / "incoming").iterdir()) == []


def test_a_stop_right_after_the_start_is_clean(agent: Agent, systemd: Systemd) -> None:
    agent.environment = systemd.environment(watchdog=30)
    agent.start()
    systemd.until("READY=1")
    assert agent.stop(within=PROMISED_STOP) == 0


def test_a_stop_right_after_it_was_frozen_is_clean(agent: Agent) -> None:
    """The kernel then hands the signal to some other thread than the one that waits for it."""
    agent.up()
    agent.freeze()
    agent.thaw()
    assert agent.stop(within=PROMISED_STOP) == 0


def test_a_second_agent_on_the_same_store_is_refused(agent: Agent, tmp_path: Path) -> None:
    agent.up()
    (tmp_path / "other").mkdir()
    with Agent(tmp_path / "other", store={"path": str(agent.store)}) as second:
        refused = second.run("run")
        repair = second.run("catalog", "rebuild")
    for ended in (refused, repair):
        assert ended.returncode == 1
        assert f"Another agent or repair is using the store {agent.store}. Stop it first." in ended.stderr
        assert "Traceback" not in ended.stderr
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)


def test_a_changed_configuration_is_taken_over_while_it_runs(agent: Agent, tmp_path: Path) -> None:
    agent.up()
    agent.recorder("0000001")
    agent.recorder("0000002")
    agent.dock("0000001")
    agent.until_confirmed(6)
    agent.config["dock"]["slots"] = {"Desk": {"port": "pci-0000:00:14.0-usb-0:9"}, "Wall": {"port": "rack:X"}}
    agent.config["targets"]["second"] = {"kind": "folder", "path": str(tmp_path / "second"), "local": True}
    (tmp_path / "second").mkdir()
    agent.write_config()
    agent.until(lambda _: "configuration read" in agent.log.read_text())
    agent.dock("0000002", slot="X")
    agent.until(lambda status: slot(status, "Desk"))
    assert agent.until_slot("Wall", "collected")["recorder"] == "0000002"
    agent.until_confirmed(12)
    there = {path.parent.parent.name for path in (tmp_path / "second" / "clips").rglob("*.json")}
    assert there == {"0000002"}


def test_a_faulty_configuration_changes_nothing_and_is_told(agent: Agent) -> None:
    agent.up()
    good = agent.config_file.read_text()
    agent.write_config(good + "ingest: {copys: 1}\n")
    issue = agent.until_issue("config-invalid")
    assert "did you mean `copies`" in issue["first"]
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    agent.write_config(good)
    agent.until(lambda status: "config-invalid" not in {issue["key"] for issue in status["health"]})


def test_a_change_that_needs_a_restart_says_so_and_is_there_after_it(agent: Agent, tmp_path: Path) -> None:
    agent.up()
    agent.config["dock"]["mounts"] = str(tmp_path / "elsewhere")
    agent.write_config()
    assert agent.until_issue("config-restart-needed")["settings"] == ["dock.mounts"]
    assert agent.stop() == 0
    agent.up()
    status = agent.status()
    assert status is not None
    assert "config-restart-needed" not in {issue["key"] for issue in status["health"]}


def test_with_a_faulty_configuration_at_its_start_it_runs_on_the_defaults_and_says_so(agent: Agent) -> None:
    """In namespaces of its own: the defaults are folders of the whole machine."""
    require("root", "unshare", "tmpfs")
    hide = "mount -t tmpfs none /var/lib && mount -t tmpfs none /run && exec"
    agent.wrapper = ["unshare", "--mount", "--net", "--propagation=private", "sh", "-c", f'{hide} "$@"', "sh"]
    agent.write_config("store: {pfad: /nowhere}\n")
    agent.start()
    agent.config["web"]["socket"] = f"/proc/{agent.pid}/root/run/recorder-station/agent.sock"
    issue = agent.until_issue("config-invalid")
    assert "pfad" in issue["first"]
    assert Path(f"/proc/{agent.pid}/root/var/lib/recorder-station/catalog/catalog.db").exists()
    agent.until(lambda status: status["ready"])
    assert agent.stop() == 0


def test_the_commands_see_the_running_agent(agent: Agent) -> None:
    agent.up()
    agent.recorder("0000001")
    agent.dock("0000001")
    agent.until_confirmed(6)
    told = json.loads(agent.run("status", "--json").stdout)
    assert told["clips"]["confirmed"] == 6
    assert "0000001" in agent.run("status", "--lang", "en").stdout
    assert len(json.loads(agent.run("clips", "--json").stdout)) == 6
    agent.stop()
    assert agent.run("status").returncode == 3
