"""The rule that keeps the page on the screen.

A page that lives is left alone, also without the agent: it says by itself that the connection is lost, and
comes back by itself (agent/web/static/kiosk.js). Whatever else is on the screen is replaced: by the page as
soon as somebody answers at its address, until then by a sentence.
"""

import json
import logging
import socket
import time
from urllib.parse import urlsplit

from agent.kiosk.browser import Browser

log = logging.getLogger(__name__)

_ANSWER = 3.0  # seconds for a connection on this machine itself
_AGAIN = 60.0  # seconds that a page has to say something, on a slow board, until it is loaded anew
_PAGE, _NOTICE = "page", "notice"

#: The page has said something: the station's name, or that the connection is lost. One whose script did not
#: arrive never does.
_LOOK = """
location.href.split("#")[0] === {page}
  && ["station", "banner"].some((id) => document.getElementById(id)?.textContent)
  ? "page" : document.documentElement.id === "notice" ? "notice" : "neither"
"""
_TELL = """
document.documentElement.id = "notice";
document.documentElement.style = "background: #e6eaf0; color: #16202c; cursor: none";
document.body.style = "display: grid; place-content: center; min-height: 90vh; text-align: center;"
  + " font: bold 4vw/1.8 'WenQuanYi Micro Hei', sans-serif";
document.body.textContent = {text};
document.body.style.whiteSpace = "pre-line";
"""
#: Of nobody's dictionary: those are the agent's, and it does not answer.
TEXT = "采集站尚未就绪，请稍候\nThe station is not ready yet, please wait"


class Watch:
    def __init__(self, browser: Browser, page: str) -> None:
        self._browser, self._page = browser, page
        self._look = _LOOK.format(page=json.dumps(page))
        self._tried = -_AGAIN

    def step(self) -> str:
        """One look, and what follows from it. Returns what was seen: `page`, `notice` or `neither`."""
        self._browser.begin()
        seen = self._browser.says(self._look)
        if seen == _PAGE:
            return seen
        if not self._answers():
            if seen != _NOTICE:
                self._tell()
            self._tried = -_AGAIN
        elif time.monotonic() - self._tried > _AGAIN:
            self._tried = time.monotonic()
            if why := self._browser.go(self._page):
                log.warning("%s cannot be loaded: %s", self._page, why)
                self._tell()
        return seen

    def _tell(self) -> None:
        """Never the browser's own page of errors, which offers more than it should."""
        self._browser.go("about:blank")
        self._browser.says(_TELL.format(text=json.dumps(TEXT)))

    def _answers(self) -> bool:
        """Somebody takes connections where the page is."""
        parts = urlsplit(self._page)
        try:
            with socket.create_connection((parts.hostname or "", parts.port or 80), _ANSWER):
                return True
        except OSError:
            return False
