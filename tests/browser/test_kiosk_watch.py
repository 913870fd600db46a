"""What keeps the page on the screen at the rack, with a real Chromium behind a real pipe."""

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agent.kiosk import browser, watch
from agent.kiosk.browser import Browser
from agent.kiosk.pipe import Dead
from agent.kiosk.watch import Watch
from scripts.screenshots import CHROMIUM
from tests.here import require

PATIENCE = 60.0  # seconds
LIVES = '<h1 id="station">east</h1><p id="banner"></p>'
EMPTY = '<h1 id="station"></h1><p id="banner"></p>'  # its script did not arrive
HANGS = LIVES + "<script>setTimeout(() => { for (;;); }, 500)</script>"


class Agent:
    """Serves one page, on one port, as long as it is up."""

    def __init__(self) -> None:
        self.page, self.asked = LIVES, list[str]()
        self._server = self._made(0)
        self.port = self._server.server_port
        self.address = f"http://127.0.0.1:{self.port}/kiosk"
        self._server.server_close()

    def up(self) -> None:
        self._server = self._made(self.port)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def down(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _made(self, port: int) -> ThreadingHTTPServer:
        agent = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                agent.asked.append(self.path)
                body = agent.page.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        return ThreadingHTTPServer(("127.0.0.1", port), Handler)


@pytest.fixture
def agent() -> Agent:
    return Agent()


@pytest.fixture
def shown(tmp_path: Path) -> Iterator[Browser]:
    require("chromium")
    command = (CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser")
    with Browser(command) as started:
        yield started


def until(step: Callable[[], str], wanted: str) -> None:
    end = time.monotonic() + PATIENCE
    while (seen := step()) != wanted:
        assert time.monotonic() < end, f"on the screen: {seen}, in place of {wanted}"
        time.sleep(0.2)


def test_without_the_agent_the_screen_says_so_and_shows_the_page_as_soon_as_it_answers(
    agent: Agent, shown: Browser
) -> None:
    kept = Watch(shown, agent.address)
    until(kept.step, "notice")
    assert shown.says("document.body.textContent") == watch.TEXT
    agent.up()
    until(kept.step, "page")
    agent.down()


def test_a_page_that_lives_is_left_alone_also_when_the_agent_is_gone(agent: Agent, shown: Browser) -> None:
    agent.up()
    kept = Watch(shown, agent.address)
    until(kept.step, "page")
    shown.says("window.same = 'yes'")
    agent.down()
    assert [kept.step() for _ in range(3)] == ["page"] * 3
    assert shown.says("window.same") == "yes"


def test_a_page_that_came_incomplete_is_loaded_again(
    agent: Agent, shown: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "_AGAIN", 0.5)
    agent.page = EMPTY
    agent.up()
    kept = Watch(shown, agent.address)
    until(lambda: "twice" if kept.step() and agent.asked.count("/kiosk") > 1 else "", "twice")
    agent.page = LIVES
    until(kept.step, "page")
    agent.down()


def test_whatever_else_comes_upon_the_screen_gives_way_to_the_page(agent: Agent, shown: Browser) -> None:
    agent.up()
    kept = Watch(shown, agent.address)
    until(kept.step, "page")
    shown._pipe.ask("Target.createTarget", PATIENCE, url="about:blank")
    shown.go("data:text/plain,elsewhere")
    assert kept.step() == "neither"
    kept._tried = 0.0
    until(kept.step, "page")
    targets = shown._pipe.ask("Target.getTargets", PATIENCE)["targetInfos"]
    assert [target["url"] for target in targets if target["type"] == "page"] == [agent.address]
    agent.down()


def test_a_page_that_hangs_and_a_browser_that_ended_are_told(
    agent: Agent, shown: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "_ANSWER", 3.0)
    agent.page = HANGS
    agent.up()
    kept = Watch(shown, agent.address)
    with pytest.raises(Dead, match="no answer"):
        until(kept.step, "never")
    agent.down()
    with pytest.raises(Dead):
        shown._pipe.ask("Browser.close", PATIENCE)
        until(kept.step, "never")


def test_the_page_of_the_station_is_known_by_what_it_says() -> None:
    """The parts that are looked for are those of the page."""
    page = (Path(__file__).parents[2] / "agent/web/static/kiosk.html").read_text()
    assert 'id="station"' in page and 'id="banner"' in page
