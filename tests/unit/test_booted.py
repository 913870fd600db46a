"""What the agent knows of the boot of a station image, and that it knows nothing elsewhere."""

import json
import os
from pathlib import Path

import pytest

from agent import booted
from agent.config import load
from agent.config.live import LiveConfig
from agent.errors import ConfigError
from agent.model import Problem
from agent.status.health import Severity
from agent.status.health.boot import boot_check
from agent.words import LANGUAGES, words


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the boot step's reports, on an image."""
    (tmp_path / "image").write_text("0.1.0 amd64\n")
    boot = tmp_path / "boot"
    boot.mkdir()
    (boot / "problems.json").write_text("[]")
    monkeypatch.setattr(booted, "IMAGE", tmp_path / "image")
    monkeypatch.setattr(booted, "BOOT", boot)
    return boot


def mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str) -> None:
    device = tmp_path.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(f"29 1 {os.major(device)}:{os.minor(device)} / / rw - {kind} none rw\n")
    monkeypatch.setattr(booted, "MOUNTS", mounts)


def test_elsewhere_nothing_is_known_whatever_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(booted, "BOOT", tmp_path)
    (tmp_path / "data-problem").write_text("missing\n")
    assert (booted.data_problem(tmp_path), booted.problems(), booted.not_central()) == ("", [], ())


@pytest.mark.parametrize("word", booted.DATA_WORDS)
def test_the_word_of_the_initramfs_counts(image: Path, word: str) -> None:
    (image / "data-problem").write_text(f"{word}\n")
    assert booted.data_problem(image) == word
    assert all(f"data-disk-{word}" in words(language)["problems"] for language in LANGUAGES)


def test_an_unknown_word_is_taken_for_the_worst(image: Path) -> None:
    (image / "data-problem").write_bytes(b"\xff\xfe?")
    assert booted.data_problem(image) == "damaged"


@pytest.mark.parametrize(("kind", "word"), [("ext4", ""), ("tmpfs", "missing"), ("overlay", "missing")])
def test_a_store_in_memory_is_no_store(
    image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, word: str
) -> None:
    mounted(monkeypatch, tmp_path, kind)
    assert booted.data_problem(tmp_path / "not" / "yet" / "there") == word


def test_the_problems_of_the_boot_step_are_issues(image: Path) -> None:
    listed = [
        {
            "part": "fleet",
            "key": "fleet-no-row",
            "params": {"file": "stations.csv", "macs": [], "serials": []},
        },
        {"part": "identity", "key": "identity-damaged", "params": {"file": "station.key"}},
    ]
    (image / "problems.json").write_text(json.dumps(listed))
    assert booted.problems()[1] == Problem("identity-damaged", {"file": "station.key"})
    issues = list(boot_check(booted.problems, lambda: "two")())
    assert [(issue.key, issue.severity) for issue in issues] == [
        ("data-disk-two", Severity.CRITICAL),
        ("fleet-no-row", Severity.WARNING),
        ("identity-damaged", Severity.CRITICAL),
    ]


def test_two_problems_of_one_kind_are_two_issues() -> None:
    twice = [Problem("fleet-cell", {"row": 2}), Problem("fleet-cell", {"row": 3})]
    assert len({issue.subject for issue in boot_check(lambda: twice, lambda: "")()}) == 2


@pytest.mark.parametrize("content", [None, "", "{", "[1]", '[{"key": "x"}]', '[{"key": "x", "params": 1}]'])
def test_a_boot_step_that_left_no_report_is_told(image: Path, content: str | None) -> None:
    (image / "problems.json").unlink()
    if content is not None:
        (image / "problems.json").write_text(content)
    assert [problem.key for problem in booted.problems()] == ["boot-step-failed"]


def test_an_image_refuses_a_simulated_rack_with_file_and_line(image: Path, tmp_path: Path) -> None:
    station = tmp_path / "station.yaml"
    station.write_text(f"station: {{name: x}}\ndock:\n  simulated_rack: {tmp_path}\n")
    with pytest.raises(ConfigError) as caught:
        load(station)
    (fault,) = caught.value.faults
    assert fault.startswith(f"{station}:3: `dock.simulated_rack` is refused on a station image")
    assert LiveConfig(station).current.dock.simulated_rack is None


def test_elsewhere_a_simulated_rack_is_welcome(tmp_path: Path) -> None:
    station = tmp_path / "station.yaml"
    station.write_text(f"dock: {{simulated_rack: {tmp_path}}}\n")
    assert load(station).dock.simulated_rack == tmp_path


def test_on_an_image_no_central_storage_lies_in_memory(image: Path) -> None:
    assert Path("/run") in booted.not_central()
