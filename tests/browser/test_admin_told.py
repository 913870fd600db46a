"""What the admin page says of findings, clocks, issues and targets: only the facts are made up."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, expect

from agent.access.roles import Role
from agent.catalog import intake
from agent.model import Identity, Problem
from agent.status.health import Issue, Severity
from agent.web.api.asked import TargetFact
from agent.words import remedy, word
from tests.browser.office import go, login
from tests.browser.screen import Screen
from tests.web.outside import account
from tests.web.station import Station, every_state

Look = Callable[..., Screen]
FINDING: dict[str, Any] = {
    "recorder": "8888888", "found_at": 1_700_000_000.0, "looked": {}, "changed_at": 1_700_000_000.0,
    "explained_by": "", "explanation": None,
}  # fmt: skip
ENDS = {"after": {"recorded_at": "2026-01-01T08:00"}, "before": {"recorded_at": "2026-01-01T09:00"}}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    with Station(tmp_path) as running:
        who = Identity("8888888", True, "F", "000001")
        docking = running.catalog.write(lambda tx: intake.begin_docking(tx, "1", who))
        gap = {"rule": "sequence-gap", "facts": {"numbers": [[4, 4], [6, 9]], "count": 5, **ENDS}}
        gone = {"rule": "vanished", "facts": {"count": 3}}
        looked = {"centre": {"at": 1_700_000_500.0, "left": 2}}
        said = {"state": "explained", "explained_by": "li", "explanation": "卡已送修"}
        running.findings = [
            {**FINDING, **gap, "finding": 11, "docking": docking, "state": "open", "looked": looked},
            {**FINDING, **gone, "finding": 12, "docking": docking, **said},
            {**FINDING, **gone, "finding": 13, "docking": docking, **said, "explanation": None},
        ]
        facts = {"recorder": "8888888", "dockings": 2, "docked": 1.7e9, "drift_seconds_a_day": [2.0, 1.0]}
        running.clocks = {"8888888": {**facts, "ahead_seconds": [-61.25, None], "wrong": True}}
        running.issues = [Issue("disk-low", Severity.CRITICAL, {"free": 3 << 30, "total": 9 << 30})]
        running.targets = [
            TargetFact("centre", "s3", None),
            TargetFact("city", "tus", Problem("target-unreachable", {"target": "city", "error": "timeout"})),
        ]
        running.slots = every_state()
        account(running, "sun", Role.INSPECTOR)
        yield running


def seen(look: Look, station: Station, view: str) -> tuple[Screen, Locator]:
    screen = look(f"http://127.0.0.1:{station.server.port}/admin")
    page = login(screen, "sun")
    page.locator("#language").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh")
    return screen, go(page, view)


def test_findings_are_told_as_the_commands_tell_them_with_what_became_of_each(
    look: Look, station: Station
) -> None:
    screen, shown = seen(look, station, "findings")
    expect(shown).to_contain_text("4, 6–9")
    expect(shown).to_contain_text("2026-01-01T08:00")
    expect(shown).to_contain_text("centre")
    assert shown.locator("tbody").first.locator("tr").count() == 1
    shown.locator("[name=every]").select_option("true")
    shown.locator(".order").click()
    expect(shown.locator("tbody").first.locator("tr")).to_have_count(3)
    expect(shown).to_contain_text("卡已送修")
    expect(shown).to_contain_text(word("findings", "erased", "zh"))
    expect(shown).to_contain_text("-61.3 … ∞")
    expect(shown).to_contain_text(word("clocks", "contradicts", "zh"))
    assert screen.faults() == ""


def test_an_issue_stands_with_its_remedy_until_it_is_over(look: Look, station: Station) -> None:
    screen, shown = seen(look, station, "health")
    issue = shown.locator(".issues .critical")
    expect(issue).to_contain_text("3.0 GiB")
    expect(issue).to_contain_text(remedy("disk-low", "zh"))
    expect(shown).to_contain_text(word("page", "full_in", "zh").rpartition("{days}")[0][-4:])
    assert screen.faults() == ""
    station.issues = []
    expect(shown.locator(".well")).to_be_visible(timeout=20_000)
    expect(shown.locator(".issues")).to_have_count(0)


def test_an_issue_is_acknowledged_with_a_note_and_stays(look: Look, station: Station) -> None:
    account(station, "wu", Role.ADMINISTRATOR)
    screen = look(f"http://127.0.0.1:{station.server.port}/admin")
    page = login(screen, "wu")
    shown = go(page, "health")
    shown.locator(".issues .critical button").click()
    form = shown.locator(".acknowledging")
    form.locator("[name=note]").fill("a disk is ordered")
    assert screen.faults() == ""
    form.locator(".order").click()
    expect(form.locator(".done")).to_be_visible()
    issue = shown.locator(".issues .critical")
    expect(issue.locator(".known")).to_contain_text("wu", timeout=20_000)
    expect(issue.locator("button")).to_have_count(0)
    assert "disk is ordered" not in page.locator(".issues").inner_text()  # it may name somebody
    assert screen.faults() == ""


def test_a_target_that_takes_nothing_says_why(look: Look, station: Station) -> None:
    screen, shown = seen(look, station, "settings")
    expect(shown.locator("tbody").first.locator("tr").nth(1)).to_contain_text("timeout")
    expect(shown).to_contain_text("station.name")
    assert screen.faults() == ""


def test_every_state_of_a_slot_can_be_read(look: Look, station: Station) -> None:
    screen, shown = seen(look, station, "rack")
    expect(shown.locator(".tile")).to_have_count(len(station.slots))
    assert shown.locator(".tile button").count() == 0  # an inspector changes nothing
    assert screen.faults() == ""
