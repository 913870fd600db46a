"""What every slot shows now. Written by the slots' workers, read by status, web and tests."""

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agent.model import Pulled, SlotState, SlotStatus

_WINDOW = 10.0  # seconds that the speed is taken over: longer than one part takes at USB 2
_STEP = 0.25  # seconds between two samples: bounds the window to 40 of them
_HOUR = 3600.0  # for so many seconds an empty slot tells of the recorder that was pulled too early


class _Speed:
    """Bytes per second over the last `_WINDOW` seconds."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, int]] = deque()

    def sample(self, now: float, done: int) -> None:
        if self._samples and done < self._samples[-1][1]:
            self._samples.clear()  # a copy started over: no negative speed
        if not self._samples or now - self._samples[-1][0] >= _STEP:
            self._samples.append((now, done))
        while len(self._samples) > 1 and now - self._samples[1][0] >= _WINDOW:
            self._samples.popleft()

    def at(self, now: float, done: int) -> float:
        if not self._samples:
            return 0.0
        began, before = self._samples[0]
        return max(0, done - before) / (now - began) if now > began else 0.0


class Board:
    """Thread-safe."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._lock = threading.Lock()
        self._slots: dict[str, SlotStatus] = {}
        self._speeds: dict[str, _Speed] = {}
        self._begun: dict[str, float] = {}  # slot -> when it was shown afresh
        self._out: dict[str, float] = {}  # slot -> since when it is out of use

    def begin(self, slot: str, state: SlotState = SlotState.EMPTY, **shown: Any) -> None:
        """Show a slot afresh: nothing of its last recorder stays."""
        with self._lock:
            self._speeds[slot] = _Speed()
            self._begun[slot] = self._monotonic()
            self._slots[slot] = self._in_use(SlotStatus(slot, state, since=self._wall(), **shown))

    def out_of_use(self, slot: str, since: float | None) -> None:
        """By order; None: it is used again. An empty slot shows it at once, another one
        beside its recorder."""
        with self._lock:
            if since is None:
                self._out.pop(slot, None)
            else:
                self._out[slot] = since
            if old := self._slots.get(slot):
                new = self._in_use(old)
                self._slots[slot] = replace(new, since=self._wall() if new.state != old.state else old.since)

    def pulled(self, slot: str, files: int | None, **shown: Any) -> None:
        """The slot is empty; its recorder was pulled with so many files uncollected, None: nobody knows."""
        with self._lock:
            old = self._slots.get(slot) or SlotStatus(slot)
        pulled = Pulled(old.recorder, old.officer, files, self._wall())
        self.begin(slot, SlotState.EMPTY, pulled=pulled, **shown)

    def update(self, slot: str, **changes: Any) -> None:
        """Change fields of SlotStatus. `since`, `collected` and the speed follow by themselves. `received` is
        whether it is received; the moment is this one."""
        with self._lock:
            old = self._slots.get(slot) or SlotStatus(slot, since=self._wall())
            if "received" in changes:
                changes["received"] = (old.received or self._wall()) if changes["received"] else None
            new = self._in_use(replace(old, **changes))
            if new.state != old.state:
                now = self._wall()
                new = replace(new, since=now, collected=now if new.state == SlotState.COLLECTED else None)
            speed = self._speeds.setdefault(slot, _Speed())
            speed.sample(self._monotonic(), new.bytes_done)
            self._slots[slot] = new

    def remove(self, slot: str) -> None:
        with self._lock:
            self._slots.pop(slot, None)
            self._speeds.pop(slot, None)
            self._begun.pop(slot, None)

    def snapshot(self) -> list[SlotStatus]:
        """All slots, `2` before `10`. The speed is the one of this moment."""
        with self._lock:
            now = self._monotonic()
            return [self._of_now(self._slots[name], now) for name in sorted(self._slots, key=_natural)]

    def _in_use(self, status: SlotStatus) -> SlotStatus:
        """Nobody is to be sent to an empty slot that is out of use."""
        since, state = self._out.get(status.slot), status.state
        if state in (SlotState.EMPTY, SlotState.OUT_OF_USE):
            state = SlotState.EMPTY if since is None else SlotState.OUT_OF_USE
        return replace(status, state=state, out_of_use=since)

    def _of_now(self, status: SlotStatus, now: float) -> SlotStatus:
        if status.pulled and now - self._begun[status.slot] >= _HOUR:
            return self._in_use(SlotStatus(status.slot, since=status.since))
        if status.state != SlotState.COLLECTING:
            return status
        return replace(status, bytes_per_second=self._speeds[status.slot].at(now, status.bytes_done))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Digits by value, the rest as text; never compares a number with a text."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), part) if i % 2 else (1, 0, part) for i, part in enumerate(parts)]
