"""A whole station: what a person holds stays, what nothing keeps goes, and everybody can see why."""

import json
from pathlib import Path
from typing import Any

from tests.agent_process import Agent

#: A clock that a time service keeps, and a look every moment.
SOON = """
from agent import clock
from agent.retention import worker
clock.synchronised = lambda: True
worker.SOON = worker.EVERY = 0.2
"""
NUMBER = "0000001"
AT_ONCE = {"classes": {name: {"local": "0 s"} for name in ("ordinary", "important", "case")}, "grace": "0 s"}
NAMED = ("--name", "王伟", "--reason", "复核第十二号", "--lang", "en")


def states(agent: Agent) -> dict[int, str]:
    return {clip["id"]: clip["state"] for clip in agent.clips()}


def explained(agent: Agent, clip: int) -> dict[str, Any]:
    return dict(json.loads(agent.run("retention", "explain", str(clip), "--json").stdout))


def test_what_is_held_stays_and_the_rest_goes_through_a_kill(tmp_path: Path) -> None:
    with Agent(tmp_path, patch=SOON, retention={**AT_ONCE, "two_persons": False}) as agent:
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until_confirmed(6)
        keys = {clip["id"]: clip["key"] for clip in agent.clips()}
        held, case, *rest = sorted(keys)
        done = agent.run("hold", "set", "--clip", str(held), *NAMED)
        assert (done.returncode, "covers 1 clips" in done.stdout) == (0, True), done.stderr
        done = agent.run("label", "set", "--clip", str(case), "--case", "LN-1", *NAMED)
        assert done.returncode == 0, done.stderr
        assert agent.run("hold", "set", "--case", "LN-1", *NAMED).returncode == 0
        done = agent.run("label", "set", "--clip", str(case), "--case", "LN-2", *NAMED)
        assert (done.returncode, "lift the hold first" in done.stderr) == (1, True)
        assert [row["clips"] for row in json.loads(agent.run("hold", "list", "--json").stdout)] == [1, 1]
        assert {row["clip"] for row in json.loads(agent.run("retention", "plan", "--json").stdout)} == set(
            rest
        )
        assert explained(agent, rest[0])["hinders"] == []
        assert "it may go" in agent.run("retention", "explain", str(rest[0]), "--lang", "en").stdout
        assert [one["key"] for one in explained(agent, held)["hinders"]] == ["kept-by-hold"]

        agent.config["retention"]["release"] = True
        agent.write_config()
        agent.until(lambda _: [states(agent)[clip] for clip in rest] == ["released"] * 4)
        agent.kill()
        agent.up()
        assert [states(agent)[clip] for clip in (held, case)] == ["confirmed", "confirmed"]
        agent.until(lambda _: not any((agent.store / "clips" / keys[clip]).exists() for clip in rest))
        for clip, key in keys.items():
            assert (agent.store / "clips" / key).exists() is (clip in (held, case))
            assert (agent.centre / "clips" / key).exists()

        assert agent.run("hold", "lift", "1", *NAMED).returncode == 1
        for row in json.loads(agent.run("hold", "list", "--json").stdout):
            assert agent.run("hold", "lift", str(row["hold"]), *NAMED).returncode == 0
        agent.until(lambda _: set(states(agent).values()) == {"released"})
        assert json.loads(agent.run("log", "audit", "--json").stdout)["findings"] == []
        assert "王伟" not in agent.log.read_text()
        assert agent.stop() == 0


def test_rules_that_shorten_wait_and_that_is_shown(tmp_path: Path) -> None:
    with Agent(tmp_path, patch=SOON) as agent:
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until_confirmed(6)
        agent.config["retention"] = {"classes": {"ordinary": {"centre": "31 days"}}}
        agent.write_config()

        def waits(_: object) -> bool:
            return bool(json.loads(agent.run("retention", "rules", "--json").stdout)["waiting"])

        agent.until(waits)
        told = json.loads(agent.run("retention", "rules", "--json").stdout)
        assert told["effect"]["earlier"] == sum(not clip["important"] for clip in agent.clips()) > 0
        done = agent.run("retention", "confirm", *NAMED)
        assert (done.returncode, "shorten something and wait" in done.stderr) == (1, True), done.stderr
        clip = str(agent.clips()[0]["id"])
        assert (
            "Rule ordinary (class ordinary)" in agent.run("retention", "explain", clip, "--lang", "en").stdout
        )
        table = tmp_path / "labels.csv"
        table.write_text(f"clip,category,case\n{clip},traffic,\n", encoding="utf-8")
        assert agent.run("label", "import", str(table), *NAMED).returncode == 0
        assert len(json.loads(agent.run("label", "missing", "--json").stdout)) == 5
        table.write_text(f"clip,colour\n{clip},red\n", encoding="utf-8")
        done = agent.run("label", "import", str(table), *NAMED)
        assert (done.returncode, "line 1" in done.stderr) == (1, True), done.stderr
        lifted = agent.run("case", "close", "LN-1", *NAMED)
        assert (lifted.returncode, "Another person has to agree" in lifted.stdout) == (0, True), lifted.stderr
        number = lifted.stdout.split("number ")[1].split(".")[0]
        again = agent.run("agree", number, "--name", "李", "--lang", "en")
        assert (again.returncode, "same user" in again.stderr) == (1, True), again.stderr
        assert agent.stop() == 0
