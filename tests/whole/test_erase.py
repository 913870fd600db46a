"""A whole station empties a recorder of the roster, and none else."""

from pathlib import Path
from typing import Any

from scripts.demo_rack import record
from tests.agent_process import Agent

#: Nobody can wait here for a time service.
TRUSTED = """
from agent import clock
clock.ours._synchronised = lambda: True
"""
OURS, STRANGE = "0000001", "0000002"


def cards(agent: Agent, number: str) -> set[str]:
    return {path.name for path in (agent.rack / number).rglob("*.mp4")}


def told(agent: Agent, number: str, problem: str) -> Any:
    return agent.until(
        lambda status: any(
            one["slot"] == number and one["state"] == "collected"
            and (not problem or problem in [each["key"] for each in one["problems"]])
            for one in status["slots"]
        )
    )  # fmt: skip


def test_a_recorder_of_the_roster_is_emptied_at_its_next_docking_and_a_stranger_is_not(
    tmp_path: Path,
) -> None:
    with Agent(tmp_path, patch=TRUSTED, erase={"enabled": True}) as agent:
        agent.config["roster"] = "roster.csv"
        (agent.config_file.parent / "roster.csv").write_text(
            f"recorder,officer,unit\n{OURS},000001,traffic\n"
        )
        agent.write_config()
        agent.up()
        for number in (OURS, STRANGE):
            agent.recorder(number, clips=3, size=20_000)
            agent.dock(number)
        agent.until_confirmed(6)
        for number in (OURS, STRANGE):
            agent.until_slot(number, "collected")
            agent.pull(number)
        agent.until(lambda status: not [one for one in status["slots"] if one["recorder"]])
        before = {path.name for path in (agent.shelf / STRANGE).rglob("*.mp4")}
        record(agent.shelf / OURS, [7], number=OURS, officer="000001", size=20_000)
        for number in (OURS, STRANGE):
            agent.dock(number)
        told(agent, OURS, "erased")
        told(agent, STRANGE, "")
        agent.until_confirmed(7)
        assert cards(agent, STRANGE) == before
        assert len(cards(agent, OURS)) <= 1
        assert agent.stop() == 0
        audit = agent.run("log", "audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr
