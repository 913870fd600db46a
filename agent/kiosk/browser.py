"""One browser with one page, and what is asked of it."""

import fcntl
import os
import signal
from types import TracebackType
from typing import Any, Self

from agent.kiosk.pipe import Dead, Pipe

#: No key of a person reaches it, and nothing of it is on a disk: see recorder-kiosk.service and the managed
#: policy, which say what is not said here.
CHROMIUM = (
    "/usr/lib/chromium/chromium",
    "--kiosk",
    "--ozone-platform=wayland",
    # One way for every screen, whatever drives it: what is drawn is a few tiles, and no driver may crash it.
    "--disable-gpu",
    "--no-first-run",
    "--no-default-browser-check",
    "--noerrdialogs",
    "--disable-session-crashed-bubble",
    "--disable-crashpad-for-testing",  # dumps of a crash would fill the memory that they lie in
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-extensions",
    "--disable-sync",
    # Few processes: each costs some ten MiB, on a board that has little, and its time at the start.
    "--in-process-gpu",
    "--enable-features=NetworkServiceInProcess2",
    "--disable-features=AudioServiceOutOfProcess,MediaRouter,OptimizationHints,PreloadTopChromeWebUI"
    ",SpareRendererForSitePerProcess,Translate,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup,WebUIOmniboxPopup",
    "--disable-pinch",
    "--overscroll-history-navigation=0",
    "--password-store=basic",
    "--disk-cache-size=1",
    "--renderer-process-limit=1",
    "--autoplay-policy=no-user-gesture-required",
)
CAGE = ("/usr/bin/cage", "--")

_FIRST_ANSWER = 300.0  # seconds: read from a slow disk, on a machine that is starting
_ANSWER = 60.0  # seconds: a page that is silent for longer shows what is no longer true
_FREE = 10  # Chromium wants its pipes at 3 and 4: ours come from above, so that neither treads on the other
_READS, _WRITES = 3, 4


class Browser:
    """`with Browser(command) as browser:`. Every call raises Dead when it is to be started anew."""

    def __init__(self, command: tuple[str, ...]) -> None:
        """`command` ends up as Chromium with `--remote-debugging-pipe` and `about:blank`."""
        theirs_in, ours_out = _pipe()
        ours_in, theirs_out = _pipe()
        whole = [*command, "--remote-debugging-pipe", "about:blank"]
        places = [(os.POSIX_SPAWN_DUP2, theirs_in, _READS), (os.POSIX_SPAWN_DUP2, theirs_out, _WRITES)]
        self._process = os.posix_spawn(whole[0], whole, os.environ, file_actions=places)
        os.close(theirs_in)
        os.close(theirs_out)
        self._pipe = Pipe(ours_out, ours_in)
        self._page = self._session = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pipe.close()
        os.kill(self._process, signal.SIGTERM)
        os.waitpid(self._process, 0)

    def begin(self) -> None:
        """Find the page and take hold of it, and close every other one: there is nothing else to be seen."""
        found = self._pipe.ask("Target.getTargets", _ANSWER if self._session else _FIRST_ANSWER)
        pages = [target["targetId"] for target in found["targetInfos"] if target["type"] == "page"]
        if not self._session and pages:
            self._page = pages[0]
            held = self._pipe.ask("Target.attachToTarget", _ANSWER, targetId=self._page, flatten=True)
            self._session = held["sessionId"]
        if self._page not in pages:
            raise Dead("the browser has no page")
        for other in pages:
            if other != self._page:
                self._pipe.ask("Target.closeTarget", _ANSWER, targetId=other)

    def says(self, script: str) -> str:
        """What a script's last line says in the page, as text; "" when it fails there."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        return str(answer["result"].get("value", ""))

    def go(self, address: str) -> str:
        """Returns when the page is another one: "", or why that could not be loaded."""
        return str(self._ask("Page.navigate", url=address).get("errorText", ""))

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self._pipe.ask(method, _ANSWER, self._session, **params)


def _pipe() -> tuple[int, int]:
    """(end to read, end to write), neither inherited."""
    ends = os.pipe()
    moved = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _FREE) for end in ends]
    for end in ends:
        os.close(end)
    return moved[0], moved[1]
