"""The pages in a browser whose processor is six times as slow as this one: what is fetched until there is
something to see, when that is, and how long after a recorder is docked it is seen."""

import importlib.util
import json
import random
import shutil
import statistics
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from scripts.benchmarks.machine import scratch
from scripts.benchmarks.measure import Bench, Figure
from scripts.benchmarks.recorder import make_racked
from scripts.benchmarks.station import Station

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_SLOTS = 16
_CHANCE = random.Random(1)
_SLOWER = 6
_BYTES, _PAINT, _CHANGE = 150, 2, 1.5  # KiB, seconds, seconds
_KIOSK, _LOGIN, _RACK = ".tile .state", ".login form", ".rack .tile .state"
_NAME, _PASSWORD = "bench", "a long enough password of nobody"
_WHEN = """
window.when = (true_) => new Promise((done) => {
  const look = () => true_() ? setTimeout(() => done(performance.now())) : requestAnimationFrame(look);
  requestAnimationFrame(look);
});
window.seen = window.when(() => document.querySelector(SELECTOR)?.textContent);
"""
_TAKEN = """(slot) => {
  const tile = `.tile[data-slot="${slot}"]:not([data-step="empty"])`;
  window.taken = window.when(() => document.querySelector(tile)).then(() => Date.now() / 1000);
}"""


class _Painted(NamedTuple):
    kib: float
    seconds: float


def pages(bench: Bench) -> Iterable[Figure]:
    painted: dict[str, list[_Painted]] = {"kiosk": [], "login": [], "rack": []}
    changes = list[float]()
    if importlib.util.find_spec("playwright") and shutil.which("chromium") and shutil.which("openssl"):
        with scratch(bench.folder, "pages") as folder, Station(folder, centre=True, lan=True) as station:
            files, size = (4, 64 << 10) if bench.quick else (100, 1 << 20)
            for number in range(1, _SLOTS + 1):
                make_racked(station.shelf / f"A{number:02}", number=number, files=files, size=size)
            station.start()
            station.account(_NAME, "administrator", _PASSWORD)
            with _chromium() as browser:
                changes = _changes(browser, station)
                for _ in range(bench.rounds):
                    with _Slow(browser) as slow:
                        painted["kiosk"].append(slow.open(station.address, _KIOSK)[1])
                    login, rack = _admin(browser, station)
                    painted["login"].append(login)
                    painted["rack"].append(rack)
            station.stop()
    slowed = f"{_SLOWER}× slowed"
    for name, what in (("kiosk", "the kiosk's tiles"), ("login", "the admin page"), ("rack", "its rack")):
        runs = painted[name]
        yield Figure("pages", f"{what}: fetched until seen", "KiB", [one.kib for one in runs], _BYTES)
        yield Figure("pages", f"{what}, {slowed}: seen", "s", [one.seconds for one in runs], _PAINT)
    note = f"median {statistics.median(changes):.2f}, of {len(changes)}" if changes else ""
    longest = [max(changes)] if changes else []
    yield Figure("pages", f"docked → on the kiosk, {slowed}: longest", "s", longest, _CHANGE, note=note)


@contextmanager
def _chromium() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright  # who only uses a station does not have it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


def _admin(browser: "Browser", station: Station) -> tuple[_Painted, _Painted]:
    """(to who is to log in, to who has)"""
    with _Slow(browser) as slow:
        page, login = slow.open(station.lan_address, _LOGIN)
        page.locator("input[name=name]").fill(_NAME)
        page.locator("input[name=password]").fill(_PASSWORD)
        page.locator("form .order").click()
        page.wait_for_selector(_RACK)
        page.close()
        return login, slow.open(station.lan_address, _RACK)[1]


def _changes(browser: "Browser", station: Station) -> list[float]:
    """Seconds from the moment in which a recorder is docked, slot by slot."""
    took = list[float]()
    with _Slow(browser) as slow:
        page, _ = slow.open(station.address, "#station")
        for slot in sorted(recorder.name for recorder in station.shelf.iterdir()):
            page.evaluate(_TAKEN, slot)
            began = time.time()
            station.dock(slot)
            took.append(page.evaluate("window.taken") - began)
            time.sleep(_CHANCE.uniform(0.0, 0.5))  # not in step with the page's questions
    return took


class _Slow:
    """A slow browser that keeps nothing it fetched."""

    def __init__(self, browser: "Browser") -> None:
        self._context = browser.new_context(ignore_https_errors=True)

    def __enter__(self) -> "_Slow":
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def open(self, address: str, selector: str) -> "tuple[Page, _Painted]":
        """The page, and what it took until an element of it was painted with a text."""
        page, fetched = self._context.new_page(), list[float]()
        tools = self._context.new_cdp_session(page)
        tools.on("Network.loadingFinished", lambda one: fetched.append(one["encodedDataLength"]))
        tools.send("Network.enable")
        tools.send("Network.setCacheDisabled", {"cacheDisabled": True})
        tools.send("Emulation.setCPUThrottlingRate", {"rate": _SLOWER})
        page.add_init_script(_WHEN.replace("SELECTOR", json.dumps(selector)))
        page.goto(address)
        seconds = page.evaluate("window.seen") / 1000
        return page, _Painted(sum(fetched) / 1024, seconds)
