"""A real Chromium, one for each module, and a page that is looked at as an officer does."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from scripts.screenshots import CHROMIUM
from tests.browser.screen import Screen
from tests.here import require


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    require("chromium")
    with sync_playwright() as playwright:
        # As the kiosk is started: it may make a sound without having been touched.
        options = ["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=options)
        yield browser
        browser.close()


@pytest.fixture
def look(browser: Browser) -> Iterator[Callable[..., Screen]]:
    """Opens an address; at the end nothing was asked of anybody else, and no script of anybody else ran."""
    screens = list[Screen]()

    def open_page(address: str, width: int = 1280, height: int = 800) -> Screen:
        screens.append(Screen(browser, address, width, height))
        return screens[-1]

    yield open_page
    for screen in screens:
        screen.close()
