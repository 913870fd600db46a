"""A station that has collected a million clips, looked at: how long who asks waits, and what that costs."""

import http.client
import math
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager
from urllib.parse import urlencode

from agent.status.shape import StatusShape
from scripts.benchmarks import million
from scripts.benchmarks.machine import memory_peak, scratch, spent
from scripts.benchmarks.measure import Bench, BenchError, Figure
from scripts.benchmarks.recorder import make_racked
from scripts.benchmarks.station import Station

_SLOTS = 16
_STATUS_EVERY = 0.05  # seconds
_SEARCH_EVERY = 0.2
_PAGES = 50
_KIOSK_EVERY = 0.75  # seconds, as agent/web/static/kiosk.js asks
_ADMIN_EVERY = 2.0  # as agent/web/static/admin/rack.js does
_ADMIN = "/api/v1/slots"
_SETTLE = 20.0  # seconds without work until a station counts as idle
_WINDOWS, _WINDOW = 3, 20.0  # seconds


def screens(bench: Bench) -> Iterable[Figure]:
    files, size = (4, 64 << 10) if bench.quick else (24, 6 << 20)
    with scratch(bench.folder, "screens") as folder, Station(folder, centre=True) as station:
        million.lay(bench, station.store)
        for number in range(1, _SLOTS + 1):
            make_racked(station.shelf / f"A{number:02}", number=number + 3000, files=files, size=size)
        station.start()
        status, search, busy = _while_busy(station)
        memory = memory_peak(station.pid) / (1 << 20)
        bench.say(f"busy for {busy:.0f} s")
        station.wait_for(lambda seen: seen["queue"]["clips"] == 0, 1.0)
        time.sleep(1.0 if bench.quick else _SETTLE)
        alone = _cpu(bench, station)
        with _asking(
            [station.screen() for _ in range(_PAGES)], lambda page: page.ask("/status"), _KIOSK_EVERY
        ):
            kiosks = _cpu(bench, station)
        with _asking([station.local() for _ in range(_PAGES)], lambda page: page.ask(_ADMIN), _ADMIN_EVERY):
            admins = _cpu(bench, station)
        station.stop()
    idle = sum(alone) / len(alone)
    note = f"of {len(status)}, within the {busy:.0f} s that 16 recorders took"
    yield Figure("screens", "/status at 20/s, 16 busy slots: p99", "ms", [_p99(status)], 50, note=note)
    yield Figure("screens", "search meanwhile: p99", "ms", [_p99(search)], 200, note=f"of {len(search)}")
    yield Figure("screens", "RSS peak", "MiB", [memory], 160)
    note = f"above {idle:.2f} % when nobody looks; {_WINDOWS} windows of {_WINDOW:.0f} s"
    yield Figure("screens", "50 kiosk pages", "% of a core", [cpu - idle for cpu in kiosks], 5, note=note)
    yield Figure("screens", "50 admin pages", "% of a core", [cpu - idle for cpu in admins], 5, note=note)


class _Page:
    """Asks again over one connection, as a browser does, and names what it has already."""

    def __init__(self, connection: http.client.HTTPConnection) -> None:
        self._connection, self._marks = connection, dict[str, str]()

    def ask(self, resource: str) -> float:
        """Seconds until the answer is there."""
        known = {"If-None-Match": self._marks[resource]} if resource in self._marks else {}
        began = time.perf_counter()
        self._connection.request("GET", resource, headers=known)
        answer = self._connection.getresponse()
        body = answer.read()
        took = time.perf_counter() - began
        if answer.status not in (200, 304):
            raise BenchError(f"{resource}: {answer.status} {body[:200]!r}")
        if mark := answer.headers.get("ETag"):
            self._marks[resource] = mark
        return took


def _while_busy(station: Station) -> tuple[list[float], list[float], float]:
    """(seconds of each look at the status, of each search, for how long the recorders were copied)"""
    began = time.perf_counter()
    for recorder in sorted(station.shelf.iterdir()):
        station.dock(recorder.name)
    searches = _searches()
    with (
        _asking([station.screen()], lambda page: page.ask("/status"), _STATUS_EVERY) as status,
        _asking([station.local()], lambda page: page.ask(next(searches)), _SEARCH_EVERY) as search,
    ):
        station.wait_for(lambda seen: _collected(seen) == _SLOTS, 1.0)
    return status, search, time.perf_counter() - began


def _collected(status: StatusShape) -> int:
    return sum(slot["state"] == "collected" for slot in status["slots"])


def _searches() -> Iterator[str]:
    """What people look for, in turn: always the same, in an order that no cache knows."""
    chance = random.Random(1)
    while True:
        year, month = chance.randrange(2021, 2024), chance.randrange(1, 12)
        for wanted in (
            {"recorder": f"{chance.randrange(400):07}"},
            {
                "officer": "000001",
                "since": f"{year}-{month:02}-01T00:00:00",
                "until": f"{year}-{month:02}-02T00:00:00",
            },
            {"important": "true"},
            {"state": "confirmed", "until": f"{year}-{month:02}-15T00:00:00"},
            {"case": "A2026-1"},
            {"limit": "500"},
        ):
            yield f"/api/v1/clips?{urlencode(wanted)}"


@contextmanager
def _asking(
    connections: Iterable[http.client.HTTPConnection], ask: Callable[[_Page], float], every: float
) -> Iterator[list[float]]:
    """Each of `connections` asks every so many seconds, all at different moments; the list grows with what
    each answer took. What went wrong is raised at the end."""
    ended, took, wrong = threading.Event(), list[float](), list[Exception]()

    def look(page: _Page, first: float) -> None:
        due = time.monotonic() + first
        try:
            while not ended.wait(max(0.0, due - time.monotonic())):
                took.append(ask(page))
                due += every
        except (BenchError, OSError, http.client.HTTPException) as error:
            wrong.append(error)

    with ExitStack() as stack:
        pages = [_Page(stack.enter_context(closing(one))) for one in connections]
        threads = [
            threading.Thread(target=look, args=(page, every * turn / len(pages)))
            for turn, page in enumerate(pages)
        ]
        for thread in threads:
            thread.start()
        try:
            yield took
        finally:
            ended.set()
            for thread in threads:
                thread.join()
    if wrong:
        raise BenchError(f"a question was not answered: {wrong[0]}")


def _cpu(bench: Bench, station: Station) -> list[float]:
    """Percent of a core that the agent takes, window by window."""
    found = []
    for _ in range(_WINDOWS):
        before, began = spent(station.pid), time.monotonic()
        time.sleep(1.0 if bench.quick else _WINDOW)
        found.append(100 * (spent(station.pid).cpu - before.cpu) / (time.monotonic() - began))
    return found


def _p99(seconds: Iterable[float]) -> float:
    """In milliseconds."""
    ordered = sorted(seconds)
    return 1000 * ordered[math.ceil(0.99 * len(ordered)) - 1]
