"""The pictures of docs/images: the kiosk page in each of its states, drawn by Chromium.

The page, its server and its words are the real ones; what it tells is made up here, so that every picture
can be drawn again: python -m scripts.screenshots [DIR]
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, sync_playwright

from agent.access import Access
from agent.catalog import Catalog
from agent.custody.verifier import Short
from agent.model import ClipState, Condition, Doing, Problem, Pulled, SlotState, SlotStatus
from agent.status.health import Issue, Severity
from agent.status.snapshot import Sources
from agent.web import WebServer, application
from agent.web.api.asked import Asked
from scripts.small_png import shrink

CHROMIUM = "/usr/bin/chromium"
FOLDER = Path(__file__).parents[1] / "docs" / "images"
SCREEN = (1280, 800)
GIB = 1 << 30
NOW = time.time()

S = SlotState
TOLD = Condition(battery=96, free=54 * GIB, total=64 * GIB, clock_off=1.4)
RECEIPT = Short("station/demo/1", 4711, 4720, bytes(range(32)), bytes(range(68))).text


def slot(name: str, state: SlotState, number: int, **more: Any) -> SlotStatus:
    """With the recorder and the officer of this number."""
    known = {} if state is S.EMPTY else {"recorder": f"{8880000 + number}", "officer": f"{100 + number:06}"}
    return SlotStatus(name, state, **{**known, "since": NOW - 60, **more})


def collecting(name: str, number: int, part: float, **more: Any) -> SlotStatus:
    files, size = 12, 9 * GIB
    done = {"files_done": int(files * part), "files_total": files, "bytes_done": int(size * part)}
    speed = {"bytes_total": size, "bytes_per_second": 38e6, "received": NOW - 50}
    return slot(name, S.COLLECTING, number, **{**done, **speed, "doing": Doing.COPYING, **more})


def collected(name: str, number: int, **more: Any) -> SlotStatus:
    done = {
        "files_done": 12,
        "files_total": 12,
        "bytes_done": 9 * GIB,
        "bytes_total": 9 * GIB,
        "docking": number,
    }
    moments = {"received": NOW - 300, "collected": NOW - 60, "clips": (number,)}
    return slot(
        name, S.COLLECTED, number, **{**done, **moments, "condition": Condition(free=54 * GIB), **more}
    )


def states() -> list[SlotStatus]:
    """One slot for each step, and one whose recorder is not on the roster."""
    unreadable = Problem(
        "unreadable", {"path": "DCIM/100MEDIA/8880011_000111_20260115081000_0007.mp4", "bytes": 65536}
    )
    return [
        slot("1", S.EMPTY, 1),
        slot("2", S.IDENTIFYING, 2),
        slot("3", S.LOCKED, 3, problems=(Problem("locked"),)),
        collecting("4", 4, 0.0, doing=Doing.QUEUED),
        collecting("5", 5, 0.3),
        collecting("6", 99, 0.6),
        collecting("7", 7, 1.0, doing=Doing.VERIFYING, files_done=11),
        collected("8", 8),
        collected("9", 9, condition=TOLD),
        collecting("10", 10, 1.0, doing=Doing.ERASING, files_done=12),
        collected(
            "11", 11, erased=12, emptied=True, problems=(Problem("erased", {"count": 12}),), condition=TOLD
        ),
        SlotStatus(
            "12",
            pulled=Pulled("8880012", "000112", 3, NOW - 20),
            problems=(Problem("pulled-early", {"files": 3}),),
        ),
        slot(
            "13",
            S.INCOMPLETE,
            13,
            files_done=11,
            files_total=12,
            bytes_done=8 * GIB,
            received=NOW - 90,
            problems=(unreadable,),
        ),
        slot("14", S.FAILED, 14, recorder="", officer="", problems=(Problem("no-file-system"),)),
        slot("15", S.STUCK, 15, received=NOW - 400, problems=(Problem("stuck", {"seconds": 120}),)),
        SlotStatus(
            "16",
            S.OUT_OF_USE,
            problems=(Problem("slot-out-of-use", {"slot": "16"}),),
            out_of_use=NOW - 3600,
        ),
    ]


def rack(count: int) -> list[SlotStatus]:
    """A rack at the end of a shift; nothing in it is free."""
    made = []
    for number in range(1, count + 1):
        if number % 4 == 1:
            made.append(collected(str(number), number))
        else:
            made.append(collecting(str(number), number, number / (count + 1)))
    return made


def busy(count: int) -> list[SlotStatus]:
    return [collecting(str(number), number, number / (count + 1)) for number in range(1, count + 1)]


@dataclass
class Facts:
    slots: list[SlotStatus] = field(default_factory=states)
    health: list[Issue] = field(default_factory=list)
    confirmed: Mapping[str, float] = field(default_factory=lambda: {"9": NOW - 5, "11": NOW - 5})
    trusted: bool = True


def sources(facts: Facts) -> Sources:
    return Sources(
        station="市局采集站 01",
        version="1",
        started=time.monotonic() - 3600,
        slots=lambda: facts.slots,
        clip_counts=lambda: dict.fromkeys(ClipState, 0),
        queue=lambda: (3, 3 << 20),
        disk=lambda: (50 * GIB, 100 * GIB, 2 * GIB),
        filling=lambda: None,
        clock_trusted=lambda: facts.trusted,
        health=lambda: facts.health,
        findings=lambda: 0,
        waiting_for=list,
        confirmed=lambda slots: facts.confirmed,
        registered=lambda recorder: recorder != "8880099",
    )


@contextmanager
def served(facts: Facts, language: str = "zh") -> Iterator[str]:
    """The page's address."""
    with tempfile.TemporaryDirectory(prefix="kiosk-") as folder:
        looked_at, catalog = sources(facts), Catalog.open(Path(folder) / "catalog.db")
        nobody: Asked = Asked(
            looked_at,
            catalog.read,
            lambda officer: frozenset(),
            list,
            lambda: None,
            lambda docking: b"",
            {},
            lambda clip: {},
            lambda clip, key: 0,
            lambda day: {},
            lambda *page: [],
            lambda recorder: None,
            dict,
        )
        app = application(
            looked_at,
            lambda query: [],
            lambda *page: [],
            lambda: language,
            nobody,
            Access(catalog),
            lambda accept: (b"", "text/plain"),
            lambda docking: RECEIPT,
        )
        server = WebServer(app, "127.0.0.1", 0, Path(folder) / "socket")
        server.start()
        try:
            yield f"http://127.0.0.1:{server.port}/kiosk"
        finally:
            server.stop(5)
            catalog.close()


def full_station() -> Facts:
    no_room = Problem("no-room", {"files": 12, "free": GIB, "reserve": 2 * GIB})
    refused = slot("2", S.INCOMPLETE, 2, problems=(no_room,), files_total=12)
    issue = Issue("store-full", Severity.CRITICAL, {"kind": "nothing-goes", "free": GIB})
    return Facts([collected("1", 1), refused, *(slot(str(n), S.EMPTY, n) for n in range(3, 9))], [issue], {})


def silence(page: Page, facts: Facts) -> None:
    page.context.set_offline(True)
    page.wait_for_selector("body.old")


def detail(page: Page, facts: Facts) -> None:
    with page.expect_response("**/receipt.svg*"):
        page.locator("[data-slot='9'] .open").click()
    page.wait_for_timeout(200)  # until it is drawn


def nothing(page: Page, facts: Facts) -> None: ...


Then = Callable[[Page, Facts], None]
PICTURES: dict[str, tuple[Callable[[], Facts], str, tuple[int, int], Then]] = {
    "states-zh": (Facts, "zh", SCREEN, nothing),
    "states-en": (Facts, "en", SCREEN, nothing),
    "detail": (Facts, "zh", SCREEN, detail),
    "full-rack": (lambda: Facts(rack(16), confirmed={"1": NOW}), "zh", SCREEN, nothing),
    "full-rack-busy": (lambda: Facts(busy(8), confirmed={}), "zh", SCREEN, nothing),
    "32-slots": (lambda: Facts(rack(32), confirmed={"1": NOW}), "zh", SCREEN, nothing),
    "full-station": (full_station, "zh", SCREEN, nothing),
    "target-down": (
        lambda: Facts(
            [collected("1", 1), collecting("2", 2, 0.4), *(slot(str(n), S.EMPTY, n) for n in range(3, 9))],
            [Issue("target-unreachable", Severity.WARNING, {"target": "centre", "error": "timeout"})],
            {},
        ),
        "zh",
        SCREEN,
        nothing,
    ),
    "old": (Facts, "zh", SCREEN, silence),
}


def draw(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        blank = browser.new_page()
        for name, (made, language, (width, height), then) in PICTURES.items():
            facts = made()
            with served(facts, language) as address:
                page = browser.new_page(viewport={"width": width, "height": height})
                page.goto(address)
                page.wait_for_selector(".tile")
                then(page, facts)
                (folder / f"kiosk-{name}.png").write_bytes(shrink(page.screenshot(), blank))
                page.close()
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m scripts.screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, default=FOLDER)
    draw(parser.parse_args().folder)
