"""Since when the centre has all that stands in a slot: looked up in the catalog, twice a second at most.

Clips are confirmed nearly in the order of their numbers, and seldom taken back. So each look goes on where
the last one stopped, and begins anew when an event says that something was taken back.
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from agent.catalog import vouched
from agent.model import SlotState, SlotStatus

_EVERY = 0.4  # seconds between two looks: of the second and a half in which a screen shows it
_MOST = 4000  # clips in one look, over all slots: some 20 ms on a small board
_FAR = 20_000  # events since the last look behind which all is looked at anew: that is cheaper


@dataclass(slots=True)
class _Progress:
    clips: tuple[int, ...]
    first: int = 0  # so many of them are confirmed
    at: float = 0.0


class Confirmed:
    """By slot. Thread-safe."""

    def __init__(
        self,
        reading: Callable[[], AbstractContextManager[sqlite3.Connection]],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`reading`: lends a connection that sees one moment of the catalog."""
        self._reading, self._monotonic = reading, monotonic
        self._lock = threading.Lock()
        self._due = float("-inf")
        self._event = 0  # the newest one at the last look
        self._known: dict[str, _Progress] = {}

    def __call__(self, slots: Sequence[SlotStatus]) -> Mapping[str, float]:
        """Slot → when its last clip was confirmed, in seconds since the epoch; only slots that are collected,
        and of which all are."""
        with self._lock:
            done = {slot.slot: slot for slot in slots if slot.state is SlotState.COLLECTED and slot.clips}
            if self._monotonic() >= self._due:
                self._look(done)
                self._due = self._monotonic() + _EVERY
            return {
                name: max(known.at, done[name].collected or 0.0)
                for name, known in self._known.items()
                if name in done and known.clips is done[name].clips and known.first == len(known.clips)
            }

    def _look(self, done: Mapping[str, SlotStatus]) -> None:
        known = {
            name: before
            if (before := self._known.get(name)) and before.clips is slot.clips
            else _Progress(slot.clips)
            for name, slot in done.items()
        }
        if known:
            with self._reading() as db:
                newest = vouched.last_event(db)
                if newest - self._event > _FAR or vouched.taken_back(db, self._event):
                    known = {name: _Progress(one.clips) for name, one in known.items()}
                left = _MOST
                for one in known.values():
                    found = vouched.look(db, one.clips, one.first, left)
                    left -= found.first - one.first
                    one.first, one.at = found.first, max(one.at, found.at)
                self._event = newest
        self._known = known
