"""A real agent tells what is wrong with its machine, its rack and its certificates."""

from pathlib import Path

import pytest

from tests.agent_process import Agent
from tests.unit.test_health_machine import certificate

KNOWN, STRANGER = "7770001", "7770002"
#: A patch: the machine is a folder, and its clock is believed.
PATCH = """
from pathlib import Path
from agent import clock
clock.synchronised = lambda: True
import agent.checks
looks = agent.checks.machine_checks
agent.checks.machine_checks = lambda certificates, trusted: looks(certificates, trusted, Path({sysfs!r}))
"""


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    sysfs = tmp_path / "sys"
    life = sysfs / "block/mmcblk0/device/life_time"
    life.parent.mkdir(parents=True)
    life.write_text("0x0b 0x01\n")
    (tmp_path / "roster.csv").write_text(f"recorder,officer,unit\n{KNOWN},000001,North\n")
    ca = certificate(tmp_path / "ca.pem", 1)
    keys = {
        "kind": "s3",
        "url": "https://127.0.0.1:9",
        "bucket": "clips",
        "credentials": str(tmp_path / "keys"),
    }
    made = Agent(tmp_path, PATCH.format(sysfs=str(sysfs)), targets={"bucket": {**keys, "ca": str(ca)}})
    made.config["roster"] = "roster.csv"
    made.write_config()
    return made


def test_the_machine_the_rack_and_certificates_are_judged_by_the_running_agent(agent: Agent) -> None:
    for number in (KNOWN, STRANGER):
        agent.recorder(number, clips=1)
    with agent.up():
        agent.dock(KNOWN, "A1")
        agent.dock(STRANGER, "A2")
        agent.until_slot("A2", "collected")
        assert agent.until_issue("recorder-not-on-roster") == {"slot": "A2", "recorder": STRANGER}
        assert agent.until_issue("disk-worn") == {"disk": "mmcblk0", "percent": 100}
        assert agent.until_issue("rtc-missing") == {}
        # It ended long ago, or ends tomorrow, as the clock of this machine says.
        status = agent.status()
        assert status is not None
        files = [i["params"]["file"] for i in status["health"] if i["key"].startswith("certificate-end")]
        assert files == [str(agent.config_file.parent / "ca.pem")]
        agent.pull("A2")
        agent.until(lambda status: "recorder-not-on-roster" not in {i["key"] for i in status["health"]})
        shown = agent.run("status")
        assert "  → " in shown.stdout
