"""A real agent over TLS, with people who have accounts, and what they do at the admin page."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from agent.access.roles import Role
from agent.cli.client import Client
from agent.web.api.footage import MOST
from scripts.demo_process import HOST, free_ports
from tests.agent_process import IMPATIENT, Agent
from tests.browser.screen import PATIENCE, Screen
from tests.web.outside import PASSWORD, certificate

RECORDER, OTHER = "8880001", "8880002"
OFFICER = "000001"
#: Name → role, units (all, or JSON), officer.
PEOPLE: Mapping[str, tuple[Role, str, str]] = {
    "li": (Role.CUSTODIAN, "all", ""),
    "zhao": (Role.CUSTODIAN, "all", ""),
    "sun": (Role.INSPECTOR, "", ""),
    "wu": (Role.ADMINISTRATOR, "", ""),
    "zhou": (Role.OFFICER, "", OFFICER),
    "qian": (Role.REVIEWER, '["elsewhere"]', ""),
}


class Office:
    def __init__(self, folder: Path) -> None:
        rack, lan = free_ports(2)
        crt, key = certificate(folder)
        self.address, self.at_rack = f"https://{HOST}:{lan}/", f"http://{HOST}:{rack}/admin"
        web = {"listen": f"{HOST}:{rack}", "lan": f"{HOST}:{lan}"}
        web |= {"certificate": str(crt), "certificate_key": str(key)}
        self.agent = Agent(folder, patch=IMPATIENT, web=web, station={"language": "zh"})

    def __enter__(self) -> "Office":
        self.agent.up()
        for name, (role, units, officer) in PEOPLE.items():
            self.order("account-set", name=name, role=role, units=units, officer=officer)
            self.order("account-password", name=name, password=PASSWORD)
        return self

    def __exit__(self, *_: object) -> None:
        self.agent.kill()

    def order(self, command: str, **said: str) -> Any:
        return Client(Path(self.agent.config["web"]["socket"])).post(f"/commands/{command}", said)

    def collect(self) -> None:
        """Two recorders: one with six recordings, of which the last is broken, one with a single one. Each is
        larger than what one answer holds of a preview."""
        self.files = self.agent.recorder(RECORDER, clips=6, size=MOST + 500_000)
        (self.agent.shelf / RECORDER / self.files[-1]).write_bytes(os.urandom(60_000))
        self.agent.recorder(OTHER, clips=1, size=60_000)
        for recorder, slot in ((RECORDER, "A1"), (OTHER, "A2")):
            self.agent.dock(recorder, slot)
        self.agent.until_confirmed(7)

    def clips(self) -> list[int]:
        """Of the first recorder, as they were recorded."""
        found = {row["path"]: int(row["id"]) for row in self.agent.clips()}
        return [found[str(file)] for file in self.files]


def login(screen: Screen, name: str) -> Page:
    page = screen.page
    page.locator("input[name=name]").fill(name)
    page.locator("input[name=password]").fill(PASSWORD)
    page.locator("form .order").click()
    there(page, "rack")
    return page


def go(page: Page, view: str) -> Locator:
    """By its link, and until it is there."""
    page.locator(f"nav a[href='#{view}']").click()
    return there(page, view)


def there(page: Page, view: str) -> Locator:
    shown = page.locator(f"[data-view={view}]")
    expect(shown).to_have_attribute("aria-busy", "false", timeout=PATIENCE)
    return shown


def until(seen: Locator, condition: str) -> None:
    """The page's policy keeps a browser from waiting for an expression by itself."""
    end = time.monotonic() + PATIENCE / 1000
    while not seen.evaluate(condition):
        assert time.monotonic() < end, condition
        seen.page.wait_for_timeout(50)
