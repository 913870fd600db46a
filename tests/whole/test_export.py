"""A whole station: clips are exported with a reason and a name, and the package is checked without it."""

import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import beside
from tests.agent_process import Agent
from tests.here import require
from tests.servers.weed import Weed
from tests.whole.test_bucket import sends_to

NUMBER = "0000001"
SECOND = 54321  # a user that no machine has a name for
BECOME = """
import os, pathlib, agent.cli, agent.config
from agent.words import words
words("en"), agent.config.load(pathlib.Path("{config}"))
os.setgroups([]); os.setgid({group}); os.setuid({user})
"""


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    with Agent(tmp_path) as made:
        yield collected(made)


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """Not below pytest's own folder, which is root's alone."""
    with tempfile.TemporaryDirectory(prefix="recorder-station-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def collected(agent: Agent) -> Agent:
    """With six clips that the centre has, too."""
    agent.up()
    agent.recorder(NUMBER, size=20_000)
    agent.dock(NUMBER)
    agent.until_confirmed(6)
    return agent


def asked(to: Path, *more: str) -> tuple[str, ...]:
    return ("export", "--to", str(to), "--reason", "复核第十二号", "--name", "王伟", "--lang", "en", *more)


def ids(agent: Agent) -> list[str]:
    return [str(row["id"]) for row in agent.clips()]


def key(agent: Agent) -> str:
    return (agent.store / "custody" / "key.pub").read_text().strip()


def verified(bag: Path, vkey: str, program: Path | None = None) -> str:
    """What the package's own program says when all of it holds."""
    program = program or bag / "data" / "verify.py"
    command = [sys.executable, "-I", "-S", str(program), str(bag), "--key", vkey]
    checked = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout
    return checked.stdout


def kinds(agent: Agent, beginning: str = "export") -> list[str]:
    with beside.reading(agent.store) as db:
        rows = db.execute("SELECT kind FROM events WHERE kind LIKE ? ORDER BY seq", (f"{beginning}%",))
        return [str(row[0]) for row in rows]


def test_an_export_is_an_entry_a_package_and_no_line_of_the_journal(agent: Agent, tmp_path: Path) -> None:
    bag = tmp_path / "bag"
    first, second, *_ = ids(agent)
    done = agent.run(*asked(bag, "--clip", first, "--clip", second, "--case", "17"))
    assert done.returncode == 0, done.stderr
    assert "2 clips" in done.stdout
    assert kinds(agent) == ["export-approval", "export-asked", "exported"]
    again = agent.run(*asked(bag, "--clip", first))
    assert again.returncode == 1
    assert "exists already" in again.stderr
    assert agent.run(*asked(bag)).returncode == 2
    assert agent.run("export", "--to", str(bag), "--asked", "1", "--clip", first).returncode == 2
    assert "王伟" not in agent.log.read_text()
    assert "复核" not in agent.log.read_text()
    vkey = key(agent)
    agent.kill()
    unheard = agent.run(*asked(tmp_path / "other", "--clip", first))
    assert unheard.returncode == 3
    assert not (tmp_path / "other").exists()
    told = json.loads((bag / "data" / "export.json").read_bytes())
    assert [one["state"] for one in told["clips"]] == ["confirmed", "confirmed"]
    said = verified(bag, vkey)
    assert "复核第十二号" in said
    assert "no second person approved it" in said


def test_what_is_not_here_is_fetched_back_and_what_cannot_be_is_told(agent: Agent, tmp_path: Path) -> None:
    rows = agent.clips()
    gone, damaged, lost, lying = ([agent.store / "clips" / row["key"] for row in rows])[:4]
    whole = {path: path.read_bytes() for path in (gone, damaged)}
    for path in (gone, lost, lying):
        path.unlink()
    damaged.write_bytes(b"x" * 20_000)
    (agent.centre / "clips" / rows[2]["key"]).unlink()
    (agent.centre / "clips" / rows[3]["key"]).write_bytes(b"x" * 20_000)
    bag, program = tmp_path / "bag.zip", tmp_path / "verify.py"
    chosen = [option for one in ids(agent) for option in ("--clip", one)]
    done = agent.run(*asked(bag, *chosen))
    assert done.returncode == 0, done.stderr
    assert "4 clips" in done.stdout
    assert "2 of them were fetched back" in done.stdout
    assert "2 clips that were asked for are NOT in the package" in done.stderr
    assert f"{rows[2]['id']}: Its copy on the station is gone" in done.stderr
    assert "centre does not have it" in done.stderr
    assert "centre gave other bytes" in done.stderr
    with zipfile.ZipFile(bag) as archive:
        program.write_bytes(archive.read("data/verify.py"))
        for row, path in zip(rows, (gone, damaged), strict=False):
            assert archive.read(f"data/clips/{row['key']}") == whole[path]
        told = json.loads(archive.read("data/export.json"))
    assert [one["fetched_from"] for one in told["clips"]] == ["centre", "centre", None, None]
    assert [one["reasons"][-1]["key"] for one in told["not_here"]] == [
        "export-not-at-target",
        "export-other-bytes",
    ]
    assert "结论：成立" in verified(bag, key(agent), program)
    none = agent.run(*asked(tmp_path / "none", "--clip", str(rows[2]["id"])))
    assert none.returncode == 1
    assert "None of the clips could be had" in none.stderr
    assert [path.name for path in tmp_path.iterdir() if "none" in path.name] == []


def test_it_is_fetched_from_a_bucket_with_the_keys_of_the_configuration(tmp_path: Path, weed: Weed) -> None:
    with Agent(tmp_path) as agent:
        sends_to(agent, weed.url)
        collected(agent)
        row = agent.clips()[0]
        (agent.store / "clips" / row["key"]).unlink()
        done = agent.run(*asked(tmp_path / "bag", "--clip", str(row["id"])))
        assert done.returncode == 0, done.stderr
        assert "1 of them were fetched back" in done.stdout
        verified(tmp_path / "bag", key(agent))
        agent.config_file.with_name("keys").unlink()
        done = agent.run(*asked(tmp_path / "none", "--clip", str(row["id"])))
        assert done.returncode == 1
        assert "keys" in done.stderr
        assert "No such file" in done.stderr
        assert not (tmp_path / "none").exists()


def as_second(agent: Agent, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Another user of this machine, in the group that may use the socket. He need not be able to read Python
    where it lies: he becomes himself when all is loaded."""
    group = Path(agent.config["web"]["socket"]).stat().st_gid
    kept = agent.patch
    agent.patch = BECOME.format(group=group, user=SECOND, config=agent.config_file)
    try:
        return agent.run(*arguments)
    finally:
        agent.patch = kept


def test_where_a_second_person_must_approve_none_goes_without_and_one_goes_with(open_to_all: Path) -> None:
    require("root")
    with Agent(open_to_all) as agent:
        two_persons(collected(agent), open_to_all)


def two_persons(agent: Agent, folder: Path) -> None:
    agent.config["export"] = {"approval": True}
    agent.write_config()
    agent.until(lambda _: kinds(agent, "export-approval") == ["export-approval"] * 2)
    bag = folder / "bag"
    first = ids(agent)[0]
    done = agent.run(*asked(bag, "--clip", first))
    assert done.returncode == 0, done.stderr
    assert not bag.exists()
    [number] = re.findall(r"approval give (\d+)", done.stdout)
    making = ("export", "--to", str(bag), "--asked", number, "--lang", "en")
    assert "needs the approval of a second person" in agent.run(*making).stderr
    give = ("approval", "give", number, "--yes", "--lang", "en", "--name")
    assert "this same user" in agent.run(*give, "李娜").stderr
    assert "this same name" in as_second(agent, *give, "王伟").stderr
    given = as_second(agent, *give, "李娜")
    assert given.returncode == 0, given.stderr
    assert "王伟" in given.stdout
    assert "复核第十二号" in given.stdout
    agent.kill()  # an approval is in the catalog, not in memory
    agent.up()
    done = agent.run(*making)
    assert done.returncode == 0, done.stderr
    said = verified(bag, key(agent))
    assert "a second person approved it" in said
    assert "李娜" in said
    again = agent.run("export", "--to", str(folder / "again"), "--asked", number, "--lang", "en")
    assert "made already" in again.stderr
    assert "李娜" not in agent.log.read_text()

    [other] = re.findall(r"approval give (\d+)", agent.run(*asked(folder / "no", "--clip", first)).stdout)
    refused = as_second(agent, "approval", "refuse", other, "--yes", "--name", "李娜", "--lang", "en")
    assert refused.returncode == 0, refused.stderr
    late = agent.run("export", "--to", str(folder / "no"), "--asked", other, "--lang", "en")
    assert "was refused" in late.stderr

    agent.stop()  # switched off while no agent runs: told at the next start
    agent.config["export"] = {"approval": False}
    agent.write_config()
    agent.up()
    assert agent.run(*asked(folder / "free", "--clip", first)).returncode == 0
    assert kinds(agent) == [
        "export-approval", "export-approval", "export-asked", "export-not-approved", "export-not-approved",
        "export-approved", "exported", "export-asked", "export-refused", "export-approval", "export-asked",
        "exported",
    ]  # fmt: skip
