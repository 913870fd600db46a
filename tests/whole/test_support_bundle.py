"""A support bundle of a station with real recorders, holds, texts and secrets: nothing of them is in it."""

import json
import stat
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.agent_process import Agent

RECORDER, OFFICER, STRANGER = "QX7731", "KL4419", "8877665"
SECRETS = ["AKCANARYKEY0001", "s3CanarySecretKey/x1", "yamlCanaryPassword", "urlCanaryUser", "urlCanaryWord"]
NAMES = [
    "North Canary Station",
    "Wang Canary",
    "王金丝",
    "Canary Harbour Unit",
    "金丝雀派出所",
    "Canary-Case-9",
]
TEXTS = ["complaint of Canary Zhao, flat 12", "请保留金丝雀案件的录像"]
ROSTER = f"recorder,officer,unit\n{RECORDER},{OFFICER},{NAMES[3]}\n{STRANGER},Wang Canary,{NAMES[4]}\n"


def journalctl(folder: Path, lines: list[str]) -> Path:
    """A program in place of the system's, which a test has no journal for: it prints what that one would."""
    said = folder / "said"
    fields = {
        "__REALTIME_TIMESTAMP": "1750000000000000",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "recorder-station",
    }
    said.write_text("".join(json.dumps({**fields, "MESSAGE": line}) + "\n" for line in lines))
    program = folder / "bin/journalctl"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\ncat {said}\n")
    program.chmod(0o755)
    return program.parent


def opened(file: Path) -> dict[str, str]:
    with tarfile.open(file) as tar:
        read = {member.name: tar.extractfile(member) for member in tar.getmembers()}
        return {name.removeprefix("support/"): part.read().decode() for name, part in read.items() if part}


def told(done: Any) -> None:
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def agent(tmp_path: Path) -> Agent:
    """Of the roster one recorder is collected; its clips are labelled and held, with reasons."""
    keys = tmp_path / "keys"
    keys.write_text(f"[default]\naws_access_key_id = {SECRETS[0]}\naws_secret_access_key = {SECRETS[1]}\n")
    keys.chmod(0o640)
    (tmp_path / "roster.csv").write_text(ROSTER, "utf-8")
    bucket = {"kind": "s3", "url": "https://127.0.0.1:9", "bucket": "clips", "credentials": str(keys)}
    made = Agent(tmp_path, station={"name": NAMES[0]}, targets={"bucket": bucket})
    made.config["roster"] = "roster.csv"
    made.config["retention"] = {
        "classes": {"Canary Class": {"centre": "90 days"}},
        "rules": {"Canary Rule": {"gives": "Canary Class", "unit": [NAMES[3]]}},
    }
    made.write_config()
    return made


def planted(agent: Agent, folder: Path) -> list[str]:
    """Fill the station; returns every canary."""
    files = [*agent.recorder(RECORDER, clips=3), *agent.recorder(STRANGER, clips=2)]
    agent.dock(RECORDER, "A1")
    agent.dock(STRANGER, "Canary Slot")
    for slot in ("A1", "Canary Slot"):
        agent.until_slot(slot, "collected")
    who = ["--name", NAMES[1]]
    told(agent.run("hold", "set", "--recorder", RECORDER, *who, "--reason", TEXTS[0]))
    clip = str(agent.clips()[0]["id"])
    said = ["--case", NAMES[5], "--note", TEXTS[1], "--reason", TEXTS[0]]
    told(agent.run("label", "set", "--clip", clip, *said, *who))
    told(agent.run("clip", "show", clip, "--name", NAMES[2], "--reason", TEXTS[0]))
    clips = [part for file in files for part in (str(file), file.name, file.stem)]
    more = ["Canary Class", "Canary Rule", "Canary Slot"]
    everything = [RECORDER, OFFICER, STRANGER, *SECRETS[:2], *NAMES, *TEXTS, *more, *clips]
    lines = [f"about {each}: it failed" for each in everything] + [
        f"x{each}y and ({each})" for each in everything
    ]
    lines += [json.dumps(each) for each in everything] + [each.upper() for each in everything]
    lines += [f"password={SECRETS[2]} at https://{SECRETS[3]}:{SECRETS[4]}@host/", "slot A1: all is well"]
    agent.environment["PATH"] = f"{journalctl(folder, lines)}:/usr/bin:/bin"
    return [*everything, *SECRETS]


def leaks(parts: dict[str, str], canaries: list[str]) -> list[tuple[str, str]]:
    found = []
    for name, text in parts.items():
        lower = text.casefold()
        for canary in canaries:
            forms = {canary, json.dumps(canary)[1:-1], canary.replace(" ", "_")}
            found += [(name, form) for form in forms if form.casefold() in lower]
    return found


def test_nothing_that_names_anybody_and_no_secret_gets_into_a_bundle(agent: Agent, tmp_path: Path) -> None:
    out = tmp_path / "bundle.tar.gz"
    with agent.up():
        canaries = planted(agent, tmp_path)
        told(agent.run("support-bundle", "--out", str(out)))
        status = agent.status()
    parts = opened(out)
    assert leaks(parts, canaries) == []
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    # What a maintainer needs is there.
    assert status is not None
    shown = json.loads(parts["status.json"])
    assert shown["clips"] == status["clips"]
    assert {slot["slot"] for slot in shown["slots"]} > {"A1"}
    stand_in = next(slot["recorder"] for slot in shown["slots"] if slot["slot"] == "A1")
    assert f"about {stand_in}: it failed" in parts["journal.txt"]
    assert "slot A1: all is well" in parts["journal.txt"]
    catalog = json.loads(parts["catalog.json"])
    assert (catalog["quick_check"], catalog["rows"]["clips"]) == ("ok", sum(status["clips"].values()))
    [log] = json.loads(parts["log.json"])
    assert log["entries"] > 0
    configuration = json.loads(parts["configuration.json"])
    assert configuration["in_force"]["targets"]["bucket"]["url"] == "https://127.0.0.1:9"
    assert {finding["check"] for finding in json.loads(parts["doctor.json"])} >= {"config", "store", "agent"}
    assert json.loads(parts["versions.json"])["agent"] == status["version"]


def test_without_an_agent_and_with_a_faulty_configuration_a_bundle_is_as_silent(
    agent: Agent, tmp_path: Path
) -> None:
    with agent.up():
        canaries = planted(agent, tmp_path)
        agent.stop()
    text = agent.config_file.read_text()
    faulty = f"upload: {{passwort: 1, token: {SECRETS[2]}, bandwidth: {SECRETS[2]}}}\n"
    agent.write_config(text + faulty + f"web2: 'http://{SECRETS[3]}:{SECRETS[4]}@host'\n")
    out = tmp_path / "bundle.tar.gz"
    told(agent.run("support-bundle", "--out", str(out)))
    parts = opened(out)
    assert leaks(parts, canaries) == []
    assert json.loads(parts["configuration.json"])["faults"]
    assert json.loads(parts["catalog.json"])["rows"]["clips"] > 0
    assert "No agent is running" in parts["status.json"]
    again = agent.run("support-bundle", "--out", str(out))
    assert (again.returncode, "exists already" in again.stderr) == (1, True)


def test_a_journal_that_cannot_be_had_costs_only_itself(agent: Agent, tmp_path: Path) -> None:
    program = journalctl(tmp_path, []) / "journalctl"
    program.write_text("#!/bin/sh\nexit 3\n")
    agent.environment["PATH"] = f"{program.parent}:/usr/bin:/bin"
    out = tmp_path / "bundle.tar.gz"
    done = agent.run("support-bundle", "--out", str(out), "--json")
    told(done)
    assert "journal.txt" in json.loads(done.stdout)["parts"]
    parts = opened(out)
    assert parts["journal.txt"].startswith("could not be had")
    assert "could not be had" in parts["catalog.json"]
    assert json.loads(parts["machine.json"])["processors"]
