"""Asks after each docking that ended what is missing, and how the recorder's clock goes, and tells it once.

A thread of its own: dockings are only read here, and nobody waits for the verdict. The mark that a docking
was judged and what was found are one commit, so after a crash it is judged again, or it was.
"""

import logging
import sqlite3
import threading
from collections.abc import Mapping
from typing import Any

from agent.catalog import Catalog, clocks, findings, visits, wanted
from agent.catalog.findings import Open
from agent.catalog.visits import Docking
from agent.custody.clocks import ledger
from agent.custody.completeness.counter import Head
from agent.custody.completeness.rules import Known, Verdict, judge
from agent.errors import CatalogError

EVERY = 5.0  # seconds between two looks, while commits come or a visit that ended is not over yet
AGAIN = 60.0  # seconds after which what could not be judged is tried again
SELDOM = 3600.0  # seconds after which it looks although nothing woke it
_log = logging.getLogger(__name__)


class Judge(threading.Thread):
    """`failing`: recorders whose last visit could not be judged, and why."""

    def __init__(self, catalog: Catalog) -> None:
        super().__init__(name="completeness", daemon=True)
        self._catalog = catalog
        self._ending = threading.Event()
        self._wake = threading.Event()
        catalog.subscribe(self._wake.set)
        self.failing: Mapping[str, str] = {}

    def run(self) -> None:
        pause = EVERY
        while not self._ending.is_set():
            self._wake.wait(pause)
            if self._ending.wait(EVERY):  # many commits share a look
                return
            self._wake.clear()
            self.step()
            pause = self._pause()

    def _pause(self) -> float:
        if self.failing:
            return AGAIN
        return EVERY if visits.waiting(self._catalog.read()) else SELDOM

    def stop(self, timeout: float) -> bool:
        """For good. True when it has ended."""
        self._ending.set()
        self._wake.set()
        if self.is_alive():
            self.join(timeout)
        return not self.is_alive()

    def step(self, now: float | None = None) -> int:
        """Judge what is due; return how many findings there were. A recorder that cannot be judged holds up
        no other."""
        found, failing = 0, dict[str, str]()
        for recorder in visits.due(self._catalog.read(), now):
            if self._ending.is_set():
                break
            try:
                found += self._judge(recorder)
            except CatalogError as error:
                _log.warning("%s is judged later: %s", recorder, error)
            except Exception as error:  # noqa: BLE001 - told, and tried again
                if recorder not in self.failing:
                    _log.exception("what %s brought cannot be judged", recorder)
                failing[recorder] = type(error).__name__
        self.failing = failing
        return found

    def _judge(self, recorder: str) -> int:
        with self._catalog.reading() as db:
            known = _read(findings.known(db, recorder))
            after, since = (known.clip, known.since) if known else (0, 0)
            visit = visits.load(db, recorder, after, since)
            verdict = judge(known, visit)
            came = [one for one in findings.opened(db, recorder) if wanted.came(db, one)]
            dockings = [docking.id for docking in visit.dockings]
            clock = ledger.compare(db, dockings)
        self._catalog.write(lambda tx: _keep(tx, recorder, dockings, verdict, came, clock))
        for finding in verdict.findings:
            _log.info("%s: %s, unexplained here", recorder, finding.rule)
        return len(verdict.findings)


def _keep(
    tx: sqlite3.Connection,
    recorder: str,
    dockings: list[int],
    verdict: Verdict,
    came: list[Open],
    clock: list[ledger.Kept],
) -> None:
    findings.keep(tx, recorder, dockings, _written(verdict.known), verdict.findings)
    for what, low, high in clock:
        clocks.keep(tx, what, low, high)
    for finding in came:
        findings.close(tx, finding.id, findings.HERE, docking=dockings[-1])


def _written(known: Known) -> dict[str, Any]:
    last = known.last
    return {
        "clip": known.clip,
        "since": known.since,
        "top": known.top,
        "heads": {kind: [one.sequence, one.clip, one.at, one.docking] for kind, one in known.heads.items()},
        "cards": dict(known.cards),
        "last": [last.id, last.slot, last.fs_id, last.started, last.ended, last.listed] if last else None,
    }


def _read(kept: Any) -> Known | None:
    if kept is None:
        return None
    return Known(
        kept["clip"],
        kept["since"],
        kept["top"],
        {kind: Head(*one) for kind, one in kept["heads"].items()},
        kept["cards"],
        Docking(*kept["last"]) if kept["last"] else None,
    )
