"""Every day a few clips that were released are asked for: the centre alone has them now."""

import logging
import random
import sqlite3
import time
from collections.abc import Callable

from agent.catalog import released
from agent.errors import Rejected
from agent.model import Lock
from agent.upload.generation import Generation
from agent.upload.targets.base import Check, Target

EVERY = 86400.0  # seconds, and once after a start
COUNT = 20  # clips
_MISSED = 100  # of those that were missed before
#: (catalog, clip)
Locking = Callable[[sqlite3.Connection, int], Lock | None]
_log = logging.getLogger(__name__)


class Sample:
    def __init__(
        self,
        generation: Generation,
        target: Target,
        check: Check,
        rng: random.Random | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        lock: Locking = lambda db, clip: None,
    ) -> None:
        """`lock`: under what a clip is to be locked at the centre; None while nobody knows."""
        self._generation, self._target, self._check = generation, target, check
        self._rng, self._monotonic = rng or random.Random(), monotonic
        self._lock = lock
        self._due = 0.0

    def ask(self) -> None:
        """Ask the target, if it is time. What keeps it from answering is raised; then it is time still."""
        name, now = self._target.name, self._monotonic()
        if now < self._due or not (place := self._generation.place(name)):
            return
        db = self._generation.read()
        missed = released.lost(db, name)
        again = self._rng.sample(missed, min(len(missed), _MISSED))
        for clip in {*again, *released.drawn(db, name, place, COUNT, self._rng)}:
            self._check()
            self._ask_for(clip, place)
        self._due = now + EVERY

    def _ask_for(self, clip: int, place: str) -> None:
        target = self._target
        asked = released.load(self._generation.read(), clip, target.name)
        self._generation.same_place(target, place)  # another store has lost nothing of ours
        has = _holds(target, asked)
        if has is not asked.lost:
            return
        self._generation.same_place(target, place)  # nor one that took its place while it was asked
        if has:
            _log.warning("%s has clip %d again", target.name, clip)
            self._generation.write(lambda tx, _: released.found(tx, clip, target.name, place))
        elif self._lock(self._generation.read(), clip) != Lock():  # else no rule and no hold wants it there
            _log.critical("%s has lost clip %d, which was released: %s", target.name, clip, asked.clip.key)
            self._generation.write(lambda tx, _: released.missed(tx, clip, target.name, place))


def _holds(target: Target, asked: released.Released) -> bool:
    try:
        return any(target.holds(asked.clip, asked.token) for _ in range(2))  # no loss by one odd answer
    except Rejected:  # what lies under its name is no clip at all
        return False
