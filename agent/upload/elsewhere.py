"""Looks at the centre for what seems to be missing here: a recorder may have been docked at another station.

One recorder after the other, each a few times a day, in a thread that carries no clips. A centre that does
not have it either may have it tomorrow, when that other station has sent what it holds; so that is said with
its time, and asked again.
"""

import logging
import sqlite3
import time
from collections.abc import Callable

from agent.catalog import findings, wanted
from agent.catalog.findings import Open
from agent.catalog.wanted import Names, Wanted
from agent.model import folder_of
from agent.upload.generation import Generation
from agent.upload.targets.base import Check
from agent.upload.targets.collected import Collected

EVERY = 4 * 3600.0  # seconds between two looks for the findings of one recorder
_AGAIN = 600.0  # seconds after one that failed
_LONGEST = 60.0  # seconds of a turn after which the next recorder waits for the next one
_log = logging.getLogger(__name__)


class Elsewhere:
    """What `check` raises ends a turn anywhere. Every other error is that of the target."""

    def __init__(
        self,
        generation: Generation,
        target: Collected,
        check: Check,
        names: Names,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._generation, self._target = generation, target
        self._check, self._names, self._monotonic = check, names, monotonic
        self._asked: dict[str, tuple[float, int]] = {}  # recorder → (when, its newest finding then)

    def look(self) -> None:
        """One turn."""
        if not (place := self._generation.place(self._target.name)):
            return
        end = self._monotonic() + _LONGEST
        for recorder, newest in self._due():
            self._check()
            # Noted first: one whose list cannot be read must not keep the others from being looked for.
            self._asked[recorder] = self._monotonic() - EVERY + _AGAIN, newest
            self._look_for(recorder, place)
            self._asked[recorder] = self._monotonic(), newest
            if self._monotonic() >= end:
                return

    def _due(self) -> list[tuple[str, int]]:
        """With their newest findings; who waits longest first."""
        db, now = self._generation.read(), self._monotonic()
        open_now = {recorder: findings.newest(db, recorder) for recorder in findings.recorders(db)}
        self._asked = {recorder: asked for recorder, asked in self._asked.items() if recorder in open_now}
        never = (-EVERY, 0)
        return sorted(
            (
                (recorder, newest)
                for recorder, newest in open_now.items()
                if self._asked.get(recorder, never)[1] != newest
                or now - self._asked.get(recorder, never)[0] >= EVERY
            ),
            key=lambda one: self._asked.get(one[0], never),
        )

    def _look_for(self, recorder: str, place: str) -> None:
        target, db = self._target, self._generation.read()
        self._generation.same_place(target, place)  # another store knows nothing of ours
        asked = [(finding, wanted.wanted(db, finding)) for finding in findings.opened(db, recorder)]
        since = min((one.since for _, one in asked), default="")
        for key in target.collected(folder_of(recorder), since, self._check):
            clip = wanted.there(key, self._names)
            for _, one in asked:
                one.seen(clip)
        self._generation.same_place(target, place)  # nor does one that took its place while it was read
        self._check()
        self._generation.write(lambda tx, _: self._note(tx, asked, place))

    def _note(self, tx: sqlite3.Connection, asked: list[tuple[Open, Wanted]], place: str) -> None:
        name = self._target.name
        for finding, one in asked:
            if one.left:
                findings.look(tx, finding.id, name, one.left)
                continue
            # Without a key it came back here meanwhile, and custody says so.
            facts = {"target": name, "place": place, "keys": one.keys}
            if one.keys and findings.close(tx, finding.id, findings.ELSEWHERE, **facts):
                _log.info("%s: %s (%d) is explained by %s", finding.recorder, finding.rule, finding.id, name)
