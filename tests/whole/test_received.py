"""Who comes with fifteen others at the end of a shift is received, by all that counts, within seconds."""

import time
from pathlib import Path

from agent.catalog import beside
from tests.agent_process import Agent, order_faults

RECORDERS = [f"888{number:04}" for number in range(16)]
PROMISED = 5.0  # seconds from plugging
FILES = 40


def test_sixteen_recorders_are_received_within_seconds_and_long_before_they_are_collected(
    tmp_path: Path,
) -> None:
    with Agent(tmp_path) as agent:
        agent.up()
        for number in RECORDERS:
            files = agent.recorder(number, clips=FILES, size=600_000)
            order_faults(agent.shelf / number, files, "R", block=64 << 10)
        began = time.time()
        for number in RECORDERS:
            agent.dock(number)
        agent.until(lambda status: sum(slot["received"] is not None for slot in status["slots"]) == 16)
        status = agent.status()
        assert status is not None
        took = [slot["received"] - began for slot in status["slots"] if slot["received"]]
        print(f"16 recorders received after {min(took):.1f} to {max(took):.1f} s")
        assert any(slot["collected"] is None for slot in status["slots"])
        assert max(took) <= PROMISED
        # What it says is committed: a station that dies now knows of every file.
        agent.kill()
        with beside.reading(agent.store) as db:
            assert db.execute("SELECT count(*) FROM clips").fetchone()[0] == FILES * len(RECORDERS)
