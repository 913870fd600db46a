"""A whole station: clips are exported with a reason and a name, and the package is checked without it."""

import json
import subprocess
import sys
from pathlib import Path

from tests.agent_process import Agent

NUMBER = "0000001"


def test_an_export_is_an_entry_a_package_and_no_line_of_the_journal(tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    asked = ("export", "--to", str(bag), "--reason", "复核第十二号", "--name", "王伟", "--lang", "en")
    with Agent(tmp_path) as agent:
        agent.up()
        agent.recorder(NUMBER, size=20_000)
        agent.dock(NUMBER)
        agent.until_confirmed(6)
        first, second, *_ = (str(row["id"]) for row in agent.clips())
        done = agent.run(*asked, "--clip", first, "--clip", second, "--case", "17")
        assert done.returncode == 0, done.stderr
        assert "2 clips" in done.stdout
        again = agent.run(*asked, "--clip", first)
        assert again.returncode == 1
        assert "exists already" in again.stderr
        assert agent.run(*asked).returncode == 2
        assert "王伟" not in agent.log.read_text()
        assert "复核" not in agent.log.read_text()
        key = (agent.store / "custody" / "key.pub").read_text().strip()
    unheard = agent.run("export", "--to", str(tmp_path / "other"), *asked[3:], "--clip", first)
    assert unheard.returncode == 3
    assert not (tmp_path / "other").exists()
    told = json.loads((bag / "data" / "export.json").read_bytes())
    assert [one["state"] for one in told["clips"]] == ["confirmed", "confirmed"]
    command = [sys.executable, "-I", "-S", str(bag / "data" / "verify.py"), str(bag), "--key", key]
    checked = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout
    assert "复核第十二号" in checked.stdout
