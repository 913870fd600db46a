"""What every slot shows now. Written by the slots' workers, read by status, web and tests."""

import re
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agent.model import SlotState, SlotStatus

_WINDOW = 10.0  # seconds that the speed is taken over: longer than one part takes at USB 2
_STEP = 0.25  # seconds between two samples: bounds the window to 40 of them


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
    """Thread-safe. `version` rises with every change."""

    def __init__(
        self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self._monotonic = monotonic
        self._wall = wall
        self._changed = threading.Condition()
        self._slots: dict[str, SlotStatus] = {}
        self._speeds: dict[str, _Speed] = {}
        self._version = 0

    @property
    def version(self) -> int:
        return self._version

    def begin(self, slot: str, state: SlotState = SlotState.EMPTY, **shown: Any) -> None:
        """Show a slot afresh: nothing of its last recorder stays."""
        with self._changed:
            self._speeds[slot] = _Speed()
            self._put(SlotStatus(slot, state, since=self._wall(), **shown))

    def update(self, slot: str, **changes: Any) -> None:
        """Change fields of SlotStatus. `since` and the speed follow by themselves."""
        with self._changed:
            old = self._slots.get(slot) or SlotStatus(slot, since=self._wall())
            new = replace(old, **changes)
            if new.state != old.state:
                new = replace(new, since=self._wall())
            speed = self._speeds.setdefault(slot, _Speed())
            speed.sample(self._monotonic(), new.bytes_done)
            self._put(new)

    def remove(self, slot: str) -> None:
        with self._changed:
            if self._slots.pop(slot, None):
                self._speeds.pop(slot, None)
                self._put(None)

    def snapshot(self) -> list[SlotStatus]:
        """All slots, `2` before `10`. The speed is the one of this moment."""
        with self._changed:
            now = self._monotonic()
            return [self._with_speed(self._slots[name], now) for name in sorted(self._slots, key=_natural)]

    def wait(self, seen: int, timeout: float) -> int:
        """Block until `version` is not `seen` any more, or for `timeout` seconds; return it."""
        with self._changed:
            self._changed.wait_for(lambda: self._version != seen, timeout)
            return self._version

    def _put(self, status: SlotStatus | None) -> None:
        if status is not None:
            self._slots[status.slot] = status
        self._version += 1
        self._changed.notify_all()

    def _with_speed(self, status: SlotStatus, now: float) -> SlotStatus:
        if status.state != SlotState.COLLECTING:
            return status
        return replace(status, bytes_per_second=self._speeds[status.slot].at(now, status.bytes_done))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Digits by value, the rest as text; never compares a number with a text."""
    parts = re.split(r"([0-9]+)", name)
    return [(0, int(part), part) if i % 2 else (1, 0, part) for i, part in enumerate(parts)]
