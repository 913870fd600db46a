"""docs/health.md tells every issue that the station's checks can find, as it is shown, with its remedy."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import booted
from agent.model import Problem
from agent.status.health import Check, Severity
from agent.status.health.boot import boot_check
from agent.status.health.centre import centre_check
from agent.status.health.clips import clips_check
from agent.status.health.custody import custody_check
from agent.status.health.hotplug import hotplug_check
from agent.status.health.retention import retention_check
from agent.status.health.scrub import scrub_check
from agent.status.health.surfaces import surfaces_check
from agent.status.health.targets import targets_check
from agent.words import words
from tests.unit.test_words import PLACE, spoken_keys

ROOT = Path(__file__).parents[2]
DOCUMENTS = {"en": ROOT / "docs/health.md", "zh": ROOT / "docs/health.zh-CN.md"}
#: Of the boot step's files these are for commands: they speak to who typed them.
COMMANDS = {
    "agent/image/bundle.py",
    "agent/image/rauc.py",
    "agent/upload/check.py",
    "agent/upload/commands.py",
}
#: What a target's breaker opens for and no literal in `agent/upload` names.
OF_CLASSES = {
    "target-unreachable", "target-full", "target-auth", "target-rejected", "target-changed",
    "receipt-differs",
}  # fmt: skip
each_language = pytest.mark.parametrize("language", DOCUMENTS)


@functools.cache
def places() -> list[tuple[str, str]]:
    """(key, file)"""
    return [(key, where.rpartition(":")[0]) for key, where in spoken_keys()]


def spoken(*folders: str) -> set[str]:
    """Keys that the sources below `folders` (or in these files) name."""
    return {key for key, file in places() if file.startswith(folders) and file not in COMMANDS}


def literal() -> Iterator[tuple[str, Severity]]:
    """What the checks call by name themselves."""
    for file in (ROOT / "agent/status/health").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Issue" and len(node.args) > 1:
                key, severity = node.args[0], ast.unparse(node.args[1])
                if isinstance(key, ast.Constant) and severity.startswith("Severity."):
                    yield str(key.value), Severity[severity.removeprefix("Severity.")]


def handed_on() -> Iterator[Check]:
    """Checks that others tell keys to, with every key that these know."""
    boot = spoken("agent/image", "agent/booted.py")
    for key in boot - {key for key in boot if key.startswith("certificate-")} - {"identity-no-key"}:
        yield boot_check(lambda key=key: [Problem(key)], lambda: "")  # type: ignore[misc]
    for word in booted.DATA_WORDS:
        yield boot_check(list, lambda word=word: word)  # type: ignore[misc]
    log = spoken("agent/custody/log", "agent/app.py") | {"log-lost", "log-key-lost"}
    log |= {"log-catalog-new", "log-station-new"}
    for key in {key for key in log if key.startswith("log-")} - {"log-unreadable", "log-order-waits"}:
        yield custody_check(lambda key=key: [Problem(key)])  # type: ignore[misc]
    told = {"station-id-twice", "station-not-told"}
    target = spoken("agent/upload/") - told | OF_CLASSES
    target = {
        key for key in target if re.match("target-|credentials-|token-|receipt-|not-there|internal", key)
    }
    for key in target:
        yield targets_check(lambda: ["one"], lambda key=key: {"one": Problem(key)})  # type: ignore[misc]
    for key in told:
        yield centre_check(lambda key=key: [("one", Problem(key))], dict)  # type: ignore[misc]
    for key in spoken("agent/web/server.py", "agent/web/sockets.py"):
        yield surfaces_check(lambda key=key: [Problem(key)])  # type: ignore[misc]
    for key in {key for key in spoken("agent/ingest/scrub") if key.startswith("scrub-")} - {
        "scrub-not-healed"
    }:
        yield scrub_check(lambda key=key: Problem(key), lambda: 0, lambda: None)  # type: ignore[misc]
    yield retention_check(lambda: Problem("retention-failed"))
    yield clips_check(lambda: dict.fromkeys(("quarantined", "missing", "rejected"), 1))
    yield hotplug_check(lambda: [("udev", False), ("rack", False)])


@functools.cache
def issues() -> dict[str, Severity]:
    return dict(literal()) | {issue.key: issue.severity for check in handed_on() for issue in check()}


def row(key: str, severity: Severity, language: str) -> str:
    said = words(language)
    meaning = PLACE.sub(lambda place: f"*{place[1].partition(':')[0]}*", said["problems"][key])
    cells = [f"`{key}`", said["severity"][severity], meaning, said["remedies"][key]]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def test_every_issue_that_a_check_can_find_has_a_remedy_and_no_other() -> None:
    found = issues()
    assert len(found) > 100
    assert {"log-ahead", "disk-worn", "boot-no-config", "target-auth", "data-disk-two"} <= set(found)
    assert set(words("en")["remedies"]) == set(found)


@each_language
def test_the_document_tells_each_issue_as_it_is_shown(language: str) -> None:
    text = DOCUMENTS[language].read_text("utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| `[a-z-]+` \|", line)]
    assert sorted(rows) == sorted(row(key, severity, language) for key, severity in issues().items())


@each_language
def test_a_remedy_is_a_plain_sentence_that_every_page_can_show(language: str) -> None:
    for key, remedy in words(language)["remedies"].items():
        assert not PLACE.search(remedy), key
        assert remedy[-1] in ".。", key
