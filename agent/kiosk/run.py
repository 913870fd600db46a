"""`recorder-kiosk`, run by recorder-kiosk.service: ends when the browser is to be started anew."""

import logging
import os
import socket
import sys
import time

from agent.kiosk.browser import CAGE, CHROMIUM, Browser
from agent.kiosk.pipe import Dead
from agent.kiosk.watch import Watch

_EVERY = 2.0  # seconds from one look to the next


def main() -> None:
    """KIOSK_PAGE: the address to show. RUNTIME_DIRECTORY: the browser's folder, in memory."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    page, folder = os.environ["KIOSK_PAGE"], os.environ["RUNTIME_DIRECTORY"]
    try:
        with Browser((*CAGE, *CHROMIUM, f"--user-data-dir={folder}/browser")) as browser:
            _watch(Watch(browser, page))
    except Dead as why:
        sys.exit(f"the browser is started anew: {why}")


def _watch(watch: Watch) -> None:
    before = ""
    while True:
        if (seen := watch.step()) != before:
            logging.info("on the screen: %s", seen)
            before = seen
        _notify("READY=1\nWATCHDOG=1")
        time.sleep(_EVERY)


def _notify(text: str) -> None:
    """systemd's watchdog, fed by a look that the browser answered."""
    if address := os.environ.get("NOTIFY_SOCKET", ""):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(text.encode(), address.replace("@", "\0", 1))
