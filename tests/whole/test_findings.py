"""A whole station: what is missing on a recorder is told, explained, and told to the centre."""

import json
from pathlib import Path

from scripts.demo_rack import record
from tests import centre
from tests.agent_process import Agent

#: Nobody waits here for a recorder's next part, nor minutes for a report.
SOON = """
from agent.catalog import visits
from agent.custody.completeness import judge
from agent.upload.report import reports
visits.GRACE, judge.EVERY = 0.0, 0.1
reports.FIRST = reports.EVERY = 0.1
"""
NUMBER = "0000001"


def more(agent: Agent, *sequences: int) -> None:
    """Recorded while it is on the shelf."""
    record(agent.shelf / NUMBER, sequences, number=NUMBER, officer="000001", size=20_000)


def test_a_number_that_no_clip_has_is_told_explained_and_kept_through_a_kill(tmp_path: Path) -> None:
    with Agent(tmp_path, patch=SOON) as agent:
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until_confirmed(6)
        agent.until_slot(NUMBER, "collected")
        agent.pull(NUMBER)
        agent.until(lambda status: not [one for one in status["slots"] if one["recorder"]])
        more(agent, 7, 9)
        agent.dock(NUMBER)
        assert agent.until_issue("findings-open") == {"count": 1}
        agent.until_confirmed(8)
        agent.kill()
        agent.up()
        assert agent.until_issue("findings-open") == {"count": 1}

        def looked(_: object) -> bool:
            [row] = json.loads(agent.run("finding", "list", "--json").stdout)
            return (
                row["rule"] == "sequence-gap"
                and row["facts"]["numbers"] == [[8, 8]]
                and "centre" in row["looked"]
            )

        agent.until(looked)
        [row] = json.loads(agent.run("finding", "list", "--json").stdout)
        told = agent.run("finding", "explain", str(row["finding"]), "--text", "bei der Vorführung gelöscht")
        assert told.returncode == 0, told.stderr
        agent.until(lambda status: status["findings"] == {"open": 0})
        assert "Vorführung" not in agent.log.read_text()
        [row] = json.loads(agent.run("finding", "list", "--all", "--json").stdout)
        assert row["explanation"] == "bei der Vorführung gelöscht"

        who = (agent.store / "station-id").read_text().strip()

        def kinds() -> list[str]:
            root = tmp_path / "centre"
            events = centre.events(lambda path: _read(root / path), who)
            return [event["kind"] for event in events if event["kind"].startswith("finding")]

        agent.until(lambda _: kinds() == ["finding", "finding-not-elsewhere", "finding-explained"])
        assert agent.stop() == 0
        audit = agent.run("log", "audit")
        assert audit.returncode == 0, audit.stdout + audit.stderr


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
