"""The commands, against a station that runs and against none."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from agent.catalog import intake
from agent.cli import app
from agent.cli.status import picture
from agent.model import ClipState, Identity, Problem, SlotState, SourceClip
from agent.status.health import Issue, Severity
from agent.words import word, words
from tests.uploading import eventually
from tests.web.station import Station, collecting, every_state, some_counts

ROOT = Path(__file__).parents[2]
Command = Callable[..., Result]


@pytest.fixture
def configured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A station.yaml that the environment names."""
    file = tmp_path / "station.yaml"
    file.write_text(
        f"station: {{language: en}}\n"
        f"store: {{path: {tmp_path}/store}}\n"
        f"dock: {{udev: false}}\n"
        f"web: {{socket: {tmp_path}/run/agent.sock}}\n"
        f"targets: {{share: {{kind: folder, path: {tmp_path}/share}}}}\n"
    )
    monkeypatch.setenv("RECORDER_STATION_CONFIG", str(file))
    monkeypatch.setenv("COLUMNS", "250")
    return file


@pytest.fixture
def command(configured: Path) -> Iterator[Command]:
    def run(*args: str) -> Result:
        return CliRunner().invoke(app, list(args))

    yield run


def test_status_shows_what_an_officer_needs(station: Station, command: Command) -> None:
    station.slots = [collecting("7", recorder="[red]1234567[/red]")]
    station.counts = some_counts()
    shown = command("status")
    assert shown.exit_code == 0
    for part in (
        "7",
        "Collecting",
        "[red]1234567[/red]",
        "000123",
        "3/12",
        "1.0 GiB / 4.0 GiB",
        "30.0 MiB/s",
    ):
        assert part in shown.stdout
    for part in (
        "1:42 min",
        "a.mp4 is still being recorded",
        "confirmed 7",
        "3 clips, 3.0 MiB",
        "50.0 GiB of",
    ):
        assert part in shown.stdout


def test_status_speaks_the_language_asked_for(station: Station, command: Command) -> None:
    station.slots = every_state()
    for language in ("en", "zh"):
        shown = command("status", "--lang", language).stdout
        assert [state for state in SlotState if word("slots", state, language) not in shown] == []


def test_status_as_json_is_what_the_agent_says(station: Station, command: Command) -> None:
    station.slots = every_state()
    said = json.loads(command("status", "--json").stdout)
    now = station.get("/status").json()
    assert {**said, "uptime_seconds": 0} == {**now, "uptime_seconds": 0}


def test_watching_as_json_gives_an_object_per_line(station: Station, configured: Path) -> None:
    arguments = [sys.executable, "-c", "from agent.cli import main; main()", "status", "--json", "--watch"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=ROOT) as watching:
        assert watching.stdout is not None
        lines = [watching.stdout.readline() for _ in range(2)]
        watching.kill()
    assert [json.loads(line)["station"] for line in lines] == ["Test station"] * 2


def test_a_starting_station_and_an_issue_are_shown(station: Station, command: Command) -> None:
    station.waiting_for = ["catalog"]
    assert "The station is starting." in command("status").stdout
    station.slots = [collecting(problems=(Problem("nobody-knows", {"a": 1}),))]
    assert "nobody-knows (a=1)" in command("status").stdout


def test_a_station_without_slots_still_has_a_picture(station: Station) -> None:
    shown: Any = station.get("/status").json()
    assert picture(shown, "zh").renderables


def _see(station: Station, paths: list[str]) -> None:
    identity = Identity(recorder="1111111", assigned=True, fs_id="f", officer="000007")

    def work(tx: Any) -> None:
        docking = intake.begin_docking(tx, "1", identity)
        intake.see(tx, docking, identity, [SourceClip(path=path, size=2048, mtime_ns=1) for path in paths])

    station.catalog.write(work)


def test_clips_lists_and_filters(station: Station, command: Command) -> None:
    _see(station, ["DCIM/a.mp4", "DCIM/\u202eb.mp4"])
    shown = command("clips").stdout
    for part in ("DCIM/a.mp4", "DCIM/\\u202eb.mp4", "1111111", "2.0 KiB", "seen"):
        assert part in shown
    assert [clip["path"] for clip in json.loads(command("clips", "--json", "--limit", "1").stdout)] == [
        "DCIM/a.mp4"
    ]
    assert json.loads(command("clips", "--json", "--state", "confirmed").stdout) == []
    assert len(json.loads(command("clips", "--json", "--recorder", "1111111").stdout)) == 2
    assert json.loads(command("clips", "--json", "--recorder", "2222222").stdout) == []


def test_clips_says_when_there_are_more_than_shown(station: Station, command: Command) -> None:
    _see(station, [f"{number}.mp4" for number in range(3)])
    assert "there are more" in command("clips", "--limit", "2").stderr
    assert "there are more" not in command("clips", "--limit", "3").stderr


def test_clips_lists_more_than_the_agent_gives_at_once(station: Station, command: Command) -> None:
    _see(station, [f"{number:04}.mp4" for number in range(2500)])
    listed = json.loads(command("clips", "--json", "--limit", "2400").stdout)
    assert [clip["path"] for clip in listed] == [f"{number:04}.mp4" for number in range(2400)]


def test_wrong_usage_is_told_before_anything_is_asked(command: Command) -> None:
    assert command("clips", "--state", "lost").exit_code == 2
    assert command("clips", "--limit", "0").exit_code == 2
    assert command("status", "--lang", "de").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [["status"], ["status", "--json"], ["status", "--watch"], ["clips"], ["upload", "retry"]],
)
def test_without_an_agent_it_is_said_and_the_exit_code_is_3(
    command: Command, configured: Path, arguments: list[str]
) -> None:
    ended = command(*arguments)
    assert ended.exit_code == 3
    assert f"No agent is running at {configured.parent}/run/agent.sock" in ended.stderr
    assert ended.stdout.strip() == ""


def test_the_socket_of_a_killed_agent_counts_as_none(command: Command, configured: Path) -> None:
    path = configured.parent / "run" / "agent.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    assert command("status").exit_code == 3


def test_doctor_passes_a_sound_machine(command: Command, configured: Path) -> None:
    for folder in ("store", "share"):
        (configured.parent / folder).mkdir()
    examined = command("doctor", "--json")
    found = {each["check"]: each for each in json.loads(examined.stdout)}
    assert {name: found[name]["key"] for name in ("config", "store", "udev", "targets")} == {
        "config": "config-ok",
        "store": "store-ok",
        "udev": "udev-off",
        "targets": "target-ok",
    }
    assert examined.exit_code == 0
    assert list((configured.parent / "share").iterdir()) == []
    assert "writable" in command("doctor").stdout


def test_doctor_tells_what_a_running_agent_finds_and_what_to_do(station: Station, command: Command) -> None:
    station.issues = [
        Issue("too-hot", Severity.WARNING, {"celsius": 91}),
        Issue("log-gap", Severity.CRITICAL, {"event": 7}),
        Issue("findings-open", Severity.INFO, {"count": 1}),
    ]
    remedies = words("en")["remedies"]
    found = json.loads(command("doctor", "--json").stdout)
    agents = [each for each in found if each["check"] == "agent"]
    assert [(each["key"], each["level"], each["remedy"]) for each in agents] == [
        ("log-gap", "fail", remedies["log-gap"]),
        ("too-hot", "warn", remedies["too-hot"]),
        ("findings-open", "info", remedies["findings-open"]),
    ]
    shown = command("doctor")
    assert shown.exit_code == 1
    assert f"warning: This station is too hot: 91 °C.\n  → {remedies['too-hot']}" in shown.stdout


def test_doctor_says_when_a_running_agent_finds_nothing(station: Station, command: Command) -> None:
    found = {each["check"]: each for each in json.loads(command("doctor", "--json").stdout)}
    assert (found["agent"]["key"], found["agent"]["level"]) == ("agent-well", "ok")


def test_doctor_looks_at_the_machine_itself_where_no_agent_runs(command: Command) -> None:
    found = {each["check"]: each for each in json.loads(command("doctor", "--json").stdout)}
    assert (found["agent"]["key"], found["agent"]["level"]) == ("agent-none", "info")


def test_status_tells_what_to_do_about_each_issue(station: Station, command: Command) -> None:
    station.issues = [Issue("power-undervoltage", Severity.CRITICAL)]
    for language in ("en", "zh"):
        shown = command("status", "--lang", language).stdout
        assert words(language)["problems"]["power-undervoltage"] in shown
        assert words(language)["remedies"]["power-undervoltage"] in shown
    assert station.get("/words/zh.json").json()["remedies"] == words("zh")["remedies"]


def test_what_was_done_is_told_to_programs_too(station: Station, command: Command) -> None:
    said = json.loads(command("upload", "slot", "A1", "--json").stdout)
    assert said == {
        "done": "slot",
        "slot": "A1",
        "recorder": "1234567",
        "clips": 12,
        "sentence": command("upload", "slot", "A1").stdout.strip(),
    }
    explained = json.loads(command("finding", "explain", "7", "--text", "lost", "--json").stdout)
    assert (explained["done"], explained["finding"]) == ("done", 7)


def test_a_slot_is_stopped_and_used_again_by_command(station: Station, command: Command) -> None:
    station.slots = [collecting("A1")]
    by = ("--name", "王伟")
    assert command("slot", "stop", "B1", *by, "--reason", "cable").exit_code == 1
    assert "A1 is out of use" in command("slot", "stop", "A1", *by, "--reason", "cable").stdout
    eventually(lambda: "Collecting · Out of use" in command("status").stdout)
    assert station.get("/status").json()["slots"][0]["out_of_use"] is not None
    said = json.loads(command("slot", "use", "A1", *by, "--json").stdout)
    assert (said["done"], said["slot"]) == ("slot-use", "A1")
    eventually(lambda: station.get("/status").json()["slots"][0]["out_of_use"] is None)


def test_who_knows_of_an_issue_is_told_by_status_and_doctor(station: Station, command: Command) -> None:
    station.issues = [Issue("slot-stuck", Severity.WARNING, {"slot": "3", "recorder": "8"}, "3")]
    ended = command("issue", "acknowledge", "slot-stuck", "--name", "王伟", "--note", "cable is ordered")
    assert ended.exit_code == 0, ended.stderr
    assert "stays listed" in ended.stdout
    eventually(lambda: "Acknowledged by 王伟" in command("status").stdout)
    assert "cable is ordered" in command("doctor").stdout
    [told] = [one for one in json.loads(command("doctor", "--json").stdout) if one["key"] == "slot-stuck"]
    assert told["acknowledged"]["by"] == "王伟"
    assert command("issue", "acknowledge", "no-target", "--name", "a", "--note", "b").exit_code == 1


def test_doctor_fails_a_target_that_is_not_there(command: Command) -> None:
    examined = command("doctor")
    assert examined.exit_code == 1
    assert "failed: Target share" in examined.stdout


def test_doctor_fails_a_store_that_is_no_folder(command: Command, configured: Path) -> None:
    (configured.parent / "share").mkdir()
    (configured.parent / "store").write_text("")
    examined = command("doctor", "--json")
    assert examined.exit_code == 1
    assert [each["key"] for each in json.loads(examined.stdout) if each["level"] == "fail"] == [
        "store-not-writable"
    ]


def test_doctor_fails_a_store_without_room(command: Command, configured: Path) -> None:
    for folder in ("store", "share"):
        (configured.parent / folder).mkdir()
    more_than_there_is = os.statvfs(configured.parent).f_blocks * os.statvfs(configured.parent).f_frsize
    text = configured.read_text().replace("/store}", f"/store, reserve: {more_than_there_is}}}")
    configured.write_text(text)
    examined = command("doctor", "--json")
    assert [each["key"] for each in json.loads(examined.stdout) if each["level"] == "fail"] == ["store-low"]


def test_doctor_names_every_fault_of_the_configuration(command: Command, configured: Path) -> None:
    configured.write_text("station: {nam: x}\nweb: {listen: 5}\n")
    examined = command("doctor", "--lang", "en")
    assert examined.exit_code == 1
    assert examined.stdout.count("failed: Configuration:") == 2
    assert "Not examined (store)" in examined.stdout


def test_a_faulty_configuration_does_not_keep_status_from_asking(command: Command, configured: Path) -> None:
    configured.write_text("nonsense: true\n")
    assert command("status", "--lang", "en").exit_code == 3


@pytest.mark.parametrize(
    ("arguments", "sent", "told"),
    [
        (["now", "7"], {"clip": "7"}, "Clip 7 goes first now."),
        (["slot", "A1"], {"slot": "A1"}, "Recorder 1234567 in slot A1: 12 clips go first now"),
        (["retry"], {}, "12 clips are tried again now."),
        (["retry", "7"], {"clip": "7"}, "12 clips are tried again now."),
    ],
)
def test_what_cannot_wait_is_asked_for_and_the_answer_is_told(
    station: Station, command: Command, arguments: list[str], sent: dict[str, str], told: str
) -> None:
    ended = command("upload", *arguments)
    assert ended.exit_code == 0
    assert told in ended.stdout
    assert station.commands == [(sent, f"uid {os.getuid()}")]


def test_what_cannot_be_asked_for_is_told(station: Station, command: Command) -> None:
    ended = command("upload", "now", "404")
    assert ended.exit_code == 1
    assert "There is no clip 404." in ended.stderr
    assert command("upload", "now", "A1").exit_code == 2
    assert station.commands == []


def test_every_state_can_be_asked_for(station: Station, command: Command) -> None:
    assert {state: command("clips", "--state", state).exit_code for state in ClipState} == dict.fromkeys(
        ClipState, 0
    )


def a_finding(number: int, state: str = "open", **changes: Any) -> dict[str, Any]:
    after = {"clip": 3, "sequence": 36, "recorded_at": "2026-08-04T09:33:30"}
    before = {"clip": 4, "sequence": 39, "recorded_at": "2026-08-04T09:50:30"}
    facts = {"kind": "video", "numbers": [[37, 38]], "count": 2, "after": after, "before": before}
    usual = {
        "finding": number, "rule": "sequence-gap", "recorder": "8888888", "docking": 3, "facts": facts,
        "found_at": 1_790_000_000.0, "state": state, "looked": {}, "changed_at": 1_790_000_000.0,
        "explained_by": "", "explanation": None,
    }  # fmt: skip
    return {**usual, **changes}


def test_findings_are_listed_with_their_facts_and_accuse_nobody(station: Station, command: Command) -> None:
    looked = {"centre": {"at": 1_790_000_000.0, "left": 1}}
    station.findings = [a_finding(7, looked=looked), a_finding(8, "elsewhere")]
    shown = command("finding", "list").stdout
    for part in (
        "7",
        "8888888",
        "37–38",
        "(2)",
        "unexplained here",
        "not at centre either as of",
        "(1 still",
    ):
        assert part in " ".join(shown.split())
    assert "another station" not in shown
    assert "lies at the centre" in command("finding", "list", "--all").stdout
    assert "本站尚无说明" in command("finding", "list", "--lang", "zh").stdout
    listed = json.loads(command("finding", "list", "--all", "--json").stdout)
    assert [row["finding"] for row in listed] == [7, 8]
    station.findings = []
    assert "Nothing is unexplained." in command("finding", "list").stdout


@pytest.mark.parametrize("language", ["en", "zh"])
def test_no_word_about_findings_accuses_anybody(language: str) -> None:
    text = " ".join(words(language)["findings"].values()).lower()
    for accusing in ("lost", "late ", "deleted", "tamper", "stolen", "丢失", "篡改", "迟", "偷"):
        assert accusing not in text


def test_findings_come_page_by_page(station: Station, command: Command) -> None:
    station.findings = [a_finding(number) for number in range(1, 451)]
    assert len(json.loads(command("finding", "list", "--json").stdout)) == 450


def test_an_explanation_and_who_was_at_hand_when_it_was_erased_are_shown(
    station: Station, command: Command
) -> None:
    explained = {"explained_by": "uid 7", "explanation": "a demonstration"}
    station.findings = [
        a_finding(7, "explained", **explained),
        a_finding(8, "explained", explained_by="uid 9"),
    ]
    shown = command("finding", "list", "--all").stdout
    for part in ("uid 7", "a demonstration", "uid 9", "(the text was erased)"):
        assert part in shown


def test_a_finding_is_explained_by_who_asks_and_its_text_is_not_logged(
    station: Station, command: Command, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    text = "说明" * 200
    told = command("finding", "explain", "7", "--text", text)
    assert told.exit_code == 0, told.stderr
    assert station.commands == [({"finding": "7", "text": text}, f"uid {os.getuid()}")]
    assert "finding-explain" in caplog.text
    assert "说明" not in caplog.text


def test_what_a_custodian_wrote_is_not_told_over_the_network(station: Station) -> None:
    station.findings = [a_finding(7, "explained", explanation="names people")]
    assert "names people" in station.get_local("/findings?all=1").body.decode()
    refused = station.get("/findings?all=1")
    assert refused.status == 403 and "names people" not in refused.body.decode()


@pytest.mark.parametrize("query", ["limit=0", "limit=201", "after=-1", "all=2", "all=yes", "state=open"])
def test_a_list_of_findings_that_nobody_knows_is_refused(station: Station, query: str) -> None:
    assert station.get_local(f"/findings?{query}").status == 400
