"""Every check finds what it is there for, stays silent otherwise, and hides no other."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model import ClipState, Problem
from agent.status.health import Check, HealthBoard, Issue, Severity
from agent.status.health.catalog import catalog_check
from agent.status.health.centre import centre_check
from agent.status.health.clips import clips_check
from agent.status.health.clock import clock_check
from agent.status.health.configuration import configuration_check
from agent.status.health.custody import custody_check
from agent.status.health.deadline import deadline_check
from agent.status.health.disk import disk_check, filling_check
from agent.status.health.findings import findings_check
from agent.status.health.hotplug import hotplug_check
from agent.status.health.surfaces import surfaces_check
from agent.status.health.targets import targets_check
from agent.words import words

GIB = 1 << 30
CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


def found(check: Check) -> list[tuple[str, Severity]]:
    return [(issue.key, issue.severity) for issue in check()]


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (50 * GIB, []),
        (8 * GIB, []),
        (7 * GIB, [("disk-low", WARNING)]),
        (2 * GIB + 1, [("disk-low", WARNING)]),
        (2 * GIB, [("store-full", CRITICAL)]),
        (0, [("store-full", CRITICAL)]),
    ],
)
def test_a_disk_that_fills_is_told_before_it_is_full(free: int, expected: list[tuple[str, Severity]]) -> None:
    assert found(disk_check(lambda: (free, 100 * GIB, 2 * GIB))) == expected


def test_a_full_disk_tells_whether_room_is_being_made() -> None:
    for making, kind in ((True, "making-room"), (False, "nothing-goes")):
        check = disk_check(lambda: (0, 100 * GIB, 2 * GIB), making_room=lambda making=making: making)  # type: ignore[misc]
        assert [issue.params["kind"] for issue in check()] == [kind]


def test_a_disk_with_room_that_is_too_little_for_a_recorder_is_full() -> None:
    assert found(disk_check(lambda: (8 * GIB, 100 * GIB, 2 * GIB), lambda: True)) == [
        ("store-full", CRITICAL)
    ]


@pytest.mark.parametrize(("days", "told"), [(0, False), (1, True), (2, True), (3, False), (None, False)])
def test_a_disk_that_is_full_within_three_days_is_told(days: int | None, told: bool) -> None:
    expected = [("disk-full-soon", WARNING)] if told else []
    assert found(filling_check(lambda: (GIB, days))) == expected
    assert found(filling_check(lambda: None)) == []


def test_a_log_that_proves_nothing_outweighs_one_that_broke_and_says_so() -> None:
    assert found(custody_check(list)) == []
    told = [Problem("log-differs", {"log": "1", "event": 7}), Problem("log-key-lost", {"log": 2})]
    assert found(custody_check(lambda: told)) == [("log-differs", CRITICAL), ("log-key-lost", WARNING)]


def test_every_key_of_the_log_is_documented_with_its_severity() -> None:
    text = (Path(__file__).parents[2] / "docs" / "status.md").read_text()
    documented = dict(re.findall(r"^\| `(log-[a-z-]+)` \| (\w+) \|", text, re.MULTILINE))
    of_commands = {"log-unreadable", "log-order-waits"}
    keys = [key for key in words("en")["problems"] if key.startswith("log-") and key not in of_commands]
    assert documented == dict(found(custody_check(lambda: [Problem(key) for key in keys])))


def test_faults_and_waiting_settings_are_two_issues() -> None:
    assert found(configuration_check(list, list)) == []
    issues = list(configuration_check(lambda: ["a.yaml:1: x", "a.yaml:2: y"], lambda: ["web.listen"])())
    assert [issue.key for issue in issues] == ["config-invalid", "config-restart-needed"]
    assert issues[0].params == {"count": 2, "first": "a.yaml:1: x", "faults": ["a.yaml:1: x", "a.yaml:2: y"]}
    assert issues[1].params == {"settings": ["web.listen"]}


def test_what_the_centre_lost_for_good_outweighs_what_it_was_not_told() -> None:
    assert found(centre_check(list, dict)) == []
    told = [("a", Problem("station-not-told", {"seconds": 4000})), ("b", Problem("station-id-twice"))]
    issues = list(centre_check(lambda: told, lambda: {"a": 2})())
    assert [(issue.key, issue.severity, issue.subject) for issue in issues] == [
        ("lost-after-release", CRITICAL, "a"),
        ("station-not-told", WARNING, "a"),
        ("station-id-twice", CRITICAL, "b"),
    ]
    assert issues[0].params == {"target": "a", "clips": 2}


def test_each_dead_source_of_events_is_told() -> None:
    assert found(hotplug_check(lambda: [("udev", True), ("rack", True)])) == []
    dead = hotplug_check(lambda: [("udev", False), ("rack", False)])
    assert found(dead) == [("udev-unavailable", CRITICAL), ("source-unavailable", CRITICAL)]


def test_a_damaged_catalog_outweighs_one_that_is_being_checked() -> None:
    assert found(catalog_check(lambda: False, list)) == []
    assert found(catalog_check(lambda: True, list)) == [("catalog-checking", WARNING)]
    assert found(catalog_check(lambda: True, lambda: ["row 1 missing"])) == [("catalog-damaged", CRITICAL)]


def test_each_failing_target_is_an_issue_of_its_own() -> None:
    problems = {
        "a": Problem("target-unreachable", {"error": "EIO"}),
        "b": Problem("target-auth", {"error": "EACCES"}),
    }
    issues = list(targets_check(lambda: ["a", "b", "c"], lambda: problems)())
    assert [(issue.subject, issue.severity) for issue in issues] == [("a", WARNING), ("b", CRITICAL)]
    assert issues[0].params == {"error": "EIO", "target": "a"}
    assert found(targets_check(list, dict)) == [("no-target", WARNING)]


def test_an_unsynchronised_clock_is_told() -> None:
    assert found(clock_check(lambda: True)) == []
    assert found(clock_check(lambda: False)) == [("clock-untrusted", WARNING)]


def test_clips_that_need_a_person_are_counted() -> None:
    assert found(clips_check(lambda: {ClipState.STORED: 9, ClipState.QUARANTINED: 0})) == []
    counts: dict[str, int] = {ClipState.QUARANTINED: 1, ClipState.MISSING: 2, ClipState.REJECTED: 3}
    issues = list(clips_check(lambda: counts)())
    assert [(issue.key, issue.params["count"]) for issue in issues] == [
        ("clips-quarantined", 1),
        ("clips-missing", 2),
        ("clips-rejected", 3),
    ]


def test_clips_that_are_late_are_counted() -> None:
    assert found(deadline_check(lambda: 0, lambda: 86400.0)) == []
    [issue] = deadline_check(lambda: 3, lambda: 86400.0)()
    assert (issue.key, issue.severity) == ("clips-overdue", WARNING)
    assert issue.params == {"count": 3, "deadline": 86400.0}


def test_a_surface_that_could_not_open_is_told() -> None:
    assert found(surfaces_check(list)) == []
    assert found(surfaces_check(lambda: [Problem("web-port-taken")])) == [("web-port-taken", WARNING)]


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_an_issue_keeps_the_time_of_its_beginning_while_its_figures_change() -> None:
    clock, free = Clock(), [3 * GIB]
    board = HealthBoard(
        {"disk": disk_check(lambda: (free[0], 100 * GIB, 2 * GIB))}, clock, lambda: clock() + 1000
    )
    assert board.issues()[0].since == 1000
    clock.now, free[0] = 60.0, 4 * GIB
    assert (board.issues()[0].since, board.issues()[0].params["free"]) == (1000, 4 * GIB)
    clock.now, free[0] = 120.0, 90 * GIB
    assert board.issues() == []
    clock.now, free[0] = 180.0, 3 * GIB
    assert board.issues()[0].since == 1180


def test_two_targets_that_fail_one_after_the_other_have_times_of_their_own() -> None:
    clock = Clock()
    failing = {"a": Problem("target-full")}
    board = HealthBoard({"targets": targets_check(lambda: ["a", "b"], lambda: failing)}, clock, clock)
    assert [issue.since for issue in board.issues()] == [0]
    clock.now = 10
    failing["b"] = Problem("target-full")
    assert [(issue.subject, issue.since) for issue in board.issues()] == [("a", 0), ("b", 10)]


def test_a_check_that_raises_is_an_issue_and_hides_no_other(caplog: pytest.LogCaptureFixture) -> None:
    def broken() -> Iterator[Issue]:
        yield Issue("no-target", WARNING)
        raise RuntimeError("boom")

    clock = Clock()
    board = HealthBoard({"broken": broken, "clock": clock_check(lambda: False)}, clock, clock)
    with caplog.at_level(logging.ERROR):
        for clock.now in (0.0, 10.0, 20.0):
            issues = board.issues()
            assert [issue.key for issue in issues] == ["check-failed", "clock-untrusted"]
    assert issues[0].params == {"check": "broken", "error": "boom"}
    assert len(caplog.records) == 1


def test_what_is_critical_comes_first() -> None:
    board = HealthBoard(
        {"clock": clock_check(lambda: False), "udev": hotplug_check(lambda: [("udev", False)])}
    )
    assert [issue.key for issue in board.issues()] == ["udev-unavailable", "clock-untrusted"]


def test_what_is_unexplained_is_told_and_alarms_nobody() -> None:
    assert found(findings_check(lambda: 0, dict)) == []
    issues = list(findings_check(lambda: 3, lambda: {"8888888": "KeyError"})())
    assert [(issue.key, issue.severity) for issue in issues] == [
        ("not-judged", WARNING),
        ("findings-open", Severity.INFO),
    ]
    assert issues[1].params == {"count": 3}
