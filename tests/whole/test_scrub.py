"""A whole station with a real centre: bits flip on its disk, and nobody loses anything by it."""

import json
import sqlite3
from pathlib import Path
from typing import Any

from tests.agent_process import Agent
from tests.scrubbing import spoil

#: A clock that a time service keeps, and a look every moment.
SOON = """
from agent import clock
from agent.ingest import scrub, scrubber
clock.synchronised = lambda: True
scrub.LOOK = scrubber.LOOK = 0.2
scrub.FIRST = scrub.LONGEST = 0.2
"""
#: The dock looks every moment at what went bad.
OFTEN = """
from agent.dock import dock
dock._TICK = 0.2
"""
NUMBER = "0000001"


def long_ago(agent: Agent) -> None:
    """While it does not run: all that lies there was last read long ago."""
    with sqlite3.connect(agent.store / "catalog" / "catalog.db") as db:
        db.execute("UPDATE clips SET stored_at = 0")
        db.execute("DELETE FROM scrubs")


def figures(agent: Agent) -> dict[str, Any]:
    return dict(json.loads(agent.run("scrub", "--json").stdout))


def keys(status: Any) -> set[str]:
    return {issue["key"] for issue in status["health"]}


def test_a_flipped_byte_in_the_store_is_found_and_healed_from_the_centre_without_loss(tmp_path: Path) -> None:
    with Agent(tmp_path, patch=SOON) as agent:
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until_confirmed(6)
        clips = agent.clips()
        assert (figures(agent)["clips"], figures(agent)["due"]) == (6, 0)
        assert agent.stop() == 0

        agent.pull(NUMBER)
        long_ago(agent)
        path, data = spoil(agent.store / "clips" / clips[0]["key"])
        gone, was = spoil(agent.store / "clips" / clips[1]["key"], "gone")
        agent.up()
        agent.until(lambda _: figures(agent)["due"] == 0 and figures(agent)["healed"] == 2)
        assert (path.read_bytes(), gone.read_bytes()) == (data, was)
        assert figures(agent)["rotten"] == 0
        assert {clip["state"] for clip in agent.clips()} == {"confirmed"}
        said = agent.run("scrub", "--lang", "en").stdout
        assert "6 clips lie here whole" in said
        assert "2 were made whole again" in said
        story = agent.run(
            "clip", "show", str(clips[0]["id"]), "--name", "王伟", "--reason", "复核", "--lang", "en"
        )
        assert "is whole again (source: centre)" in story.stdout, story.stderr
        assert json.loads(agent.run("log", "audit", "--json").stdout)["findings"] == []
        assert json.loads(agent.run("finding", "list", "--json").stdout) == []
        assert agent.stop() == 0


def test_what_cannot_be_fetched_is_told_until_it_is_healed_and_a_lost_catalog_knows_it(
    tmp_path: Path,
) -> None:
    with Agent(tmp_path, patch=SOON) as agent:
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until_confirmed(6)
        clips = agent.clips()
        assert agent.stop() == 0
        agent.pull(NUMBER)
        long_ago(agent)
        path, data = spoil(agent.store / "clips" / clips[0]["key"])
        away = agent.centre.rename(tmp_path / "away")
        agent.up()
        agent.until(lambda status: "clips-rotten" in keys(status))
        assert path.read_bytes() != data
        away.rename(agent.centre)
        agent.until(lambda status: "clips-rotten" not in keys(status))
        assert path.read_bytes() == data
        assert agent.stop() == 0
        rebuilt = agent.run("catalog", "rebuild")
        assert rebuilt.returncode in (0, 1), rebuilt.stderr
        agent.up()
        agent.until_confirmed(6)
        assert json.loads(agent.run("log", "audit", "--json").stdout)["findings"] == []
        assert agent.stop() == 0


def test_what_goes_bad_while_its_recorder_stands_there_is_copied_from_it_again(tmp_path: Path) -> None:
    with Agent(tmp_path, patch=SOON + OFTEN) as agent:
        away = agent.centre.rename(tmp_path / "away")
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until(lambda status: collected(status) and states(agent) == {"stored"})
        path, data = spoil(agent.store / "clips" / agent.clips()[0]["key"])
        long_ago(agent)
        agent.until(lambda _: "quarantined" in moves(agent))
        agent.until(lambda status: collected(status) and states(agent) == {"stored"})
        assert path.read_bytes() == data
        away.rename(agent.centre)
        agent.until_confirmed(6)
        assert json.loads(agent.run("log", "audit", "--json").stdout)["findings"] == []
        assert agent.stop() == 0


def collected(status: Any) -> bool:
    return any(slot["state"] == "collected" for slot in status["slots"])


def states(agent: Agent) -> set[str]:
    return {clip["state"] for clip in agent.clips()}


def moves(agent: Agent) -> list[str]:
    with sqlite3.connect(agent.store / "catalog" / "catalog.db") as db:
        return [kind for (kind,) in db.execute("SELECT kind FROM events ORDER BY seq")]
