"""A whole station: a named person looks at a clip, and everybody can see that later."""

import json
from pathlib import Path

from tests.agent_process import Agent

NUMBER = "0000001"


def test_who_looks_at_a_clip_or_opens_it_is_an_entry_and_no_line_of_the_journal(tmp_path: Path) -> None:
    copy, named = tmp_path / "copy.mp4", ("--name", "王伟", "--reason", "复核第十二号")
    with Agent(tmp_path) as agent:
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until_confirmed(6)
        row = agent.clips()[0]
        clip = str(row["id"])
        assert agent.run("clip", "show", clip).returncode == 2
        shown = agent.run("clip", "show", clip, *named, "--lang", "en")
        assert shown.returncode == 0, shown.stderr
        assert "read back and equal" in shown.stdout
        assert "王伟 looked at its story (uid" in shown.stdout
        assert "核对一致" in agent.run("clip", "show", clip, *named, "--lang", "zh").stdout
        told = json.loads(agent.run("clip", "show", clip, *named, "--json").stdout)
        kinds = [one["kind"] for one in told["events"]]
        assert kinds == ["seen", "copying", "stored", "uploading", "uploaded", "confirmed", *["viewed"] * 3]
        assert [one["state"] for one in told["deliveries"]] == ["confirmed"]
        done = agent.run("clip", "open", clip, "--to", str(copy), *named)
        assert done.returncode == 0, done.stderr
        assert copy.read_bytes() == (agent.store / "clips" / row["key"]).read_bytes()
        again = agent.run("clip", "open", clip, "--to", str(copy), *named)
        assert (again.returncode, "exists already" in again.stderr) == (1, True)
        (agent.store / "clips" / row["key"]).write_bytes(b"another recording")
        other = agent.run("clip", "open", clip, "--to", str(tmp_path / "other.mp4"), *named)
        assert (other.returncode, "is not the recording" in other.stderr) == (1, True)
        assert not (tmp_path / "other.mp4").exists()
        for listing in ("clips", "status"):
            assert agent.run(listing).returncode == 0
        told = json.loads(agent.run("clip", "show", clip, *named, "--json").stdout)
        whats = [one["body"]["what"] for one in told["events"] if one["kind"] == "viewed"]
        assert whats == ["story", "story", "story", "recording", "recording", "story"]
        assert "王伟" not in agent.log.read_text()
        assert "复核" not in agent.log.read_text()
    assert agent.run("clip", "show", clip, *named).returncode == 3


def test_heads_are_carried_and_samples_are_drawn_through_the_door_as_they_are(tmp_path: Path) -> None:
    """What a program asked for comes back with its lines, and whole, however long."""
    carried = tmp_path / "heads"
    with Agent(tmp_path) as agent:
        agent.up()
        agent.recorder(NUMBER, clips=120, size=1_000)
        agent.dock(NUMBER)
        agent.until_confirmed(120)
        assert agent.run("log", "carry", str(carried)).returncode == 0
        key = (agent.store / "custody" / "key.pub").read_text()
        assert carried.read_text().startswith(f"recorder-station heads 1\n{key}")
        drawn = json.loads(agent.run("audit", "draw", "--count", "110", "--json").stdout)
        assert len(drawn["clips"]) == 110
