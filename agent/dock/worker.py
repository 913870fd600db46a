"""One recorder in one slot, from its arrival until it is pulled: a worker with a thread of its own.

Its volumes (LUNs, partitions) are read one after the other. Between two of them, and after the last,
the thread sleeps until something arrives, leaves, or is due to be read again.
"""

import logging
import threading
import uuid
from typing import Any

from agent.dock.docking import RETRIED, Docking, Result, Tools, read_volume
from agent.dock.reporter import Tally, VolumeReporter
from agent.errors import Stopping
from agent.model import Device, DeviceKind, Problem, SlotState

log = logging.getLogger(__name__)

_LONGEST = 600.0  # seconds between two readings of a recorder whose files keep changing
_AWAITED = "awaited "  # marks, among results by node, a part of the recorder that has none yet


class Worker:
    """`arrive`, `leave`, `stop` and `abandon` are called by the dock; the rest runs in its own thread."""

    def __init__(self, slot: str, tools: Tools) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.slot = slot
        self._tools = tools
        self._tally = Tally(tools.board, slot, tools.monotonic, self._all_there)
        self._changed = threading.Condition()
        self._devices: dict[str, Device] = {}
        self._due: dict[str, float] = {}  # node -> when it is to be read
        self._waits: dict[str, float] = {}  # node -> seconds until it is read again, next time
        self._results: dict[str, Result] = {}
        self._settle_at = 0.0  # a slot is not shown as collected before this moment
        self._busy = False
        self._stopping = False
        self._abandoned = False
        self._thread = threading.Thread(target=self._run, name=f"slot {slot}", daemon=True)

    def start(self, device: Device) -> None:
        self._tools.board.begin(self.slot)
        self.arrive(device)
        self._thread.start()

    def arrive(self, device: Device) -> None:
        """A volume more, or the same node with other content."""
        with self._changed:
            now = self._tools.monotonic()
            for disk in [known for known in self._devices.values() if _is_part(device, known)]:
                self._forget(disk.node)
            for part in [node for node in self._results if node.startswith(_AWAITED)]:
                self._forget(part)
            self._devices[device.node] = device
            self._results.pop(device.node, None)
            self._waits.pop(device.node, None)
            self._due[device.node] = now + (self._tools.grace if device.kind is DeviceKind.DISK else 0)
            self._settle_at = now + (0 if device.kind is DeviceKind.FOLDER else self._tools.grace)
            self._tally.moved(device.node)
            self._set_busy()
            self._changed.notify_all()

    def read_again(self) -> None:
        """A copy that was made of this recorder is not whole any more. Each time it waits longer: on a disk
        that spoils all copies this would have no end."""
        with self._changed:
            for node in self._devices.keys() - self._due.keys():
                if self._results.get(node) not in (Result.FAILED, Result.LOCKED):
                    wait = self._waits.get(node, 0.0)
                    self._waits[node] = longer(wait or self._tools.again)
                    self._results[node] = Result.AGAIN
                    self._due[node] = self._tools.monotonic() + wait
                    self._tally.problem(node, Problem("copy-spoiled"))
                    self._set_busy()
            self._changed.notify_all()

    def leave(self, node: str) -> None:
        with self._changed:
            waited = self._devices.pop(node, None) and self._due.pop(node, None) is not None
            if waited and self._results.get(node) is not Result.REFUSED:
                self._results[node] = Result.GONE
            self._tally.moved(node)
            self._changed.notify_all()

    def stop(self) -> None:
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def abandon(self, **last: Any) -> None:
        """The slot is not this worker's any more: show `last` and nothing after it, end when possible."""
        self._tally.mute(**last)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    @property
    def devices(self) -> tuple[Device, ...]:
        """What is plugged in of it; empty once it was pulled."""
        with self._changed:
            return tuple(self._devices.values())

    def idle_for(self) -> float | None:
        """Seconds without progress; None while nothing is to be done but to wait for the officer."""
        return self._tally.idle_for() if self._busy else None

    def _run(self) -> None:
        try:
            while (device := self._next()) is not None:
                self._keep(device, self._read(device))
        except Stopping:
            log.info("slot %s: interrupted; the next start goes on", self.slot)
        except Exception as e:
            log.exception("slot %s: its worker ended", self.slot)
            problem = Problem("internal", {"error": str(e) or repr(e)})
            self._tally.mute(state=SlotState.FAILED, problems=(problem,))
        finally:
            self._busy = False

    def _read(self, device: Device) -> Result:
        self._tally.start(device.node)
        reporter = VolumeReporter(
            self._tally, device.node, lambda: self._is_gone(device), lambda: self._stopping
        )
        return read_volume(Docking(self.id, self.slot, device), self._tools, reporter)

    def _keep(self, device: Device, result: Result) -> None:
        with self._changed:
            node = device.node
            if self._devices.get(node, device) != device or node in self._due:
                return  # something else sits at this node by now
            self._results[node] = result
            if result in RETRIED and node in self._devices:
                wait = self._waits.get(node, self._tools.again)
                self._waits[node] = longer(wait)
                self._due[node] = self._tools.monotonic() + wait

    def _next(self) -> Device | None:
        """Wait for the next volume to read. None: the docking is over."""
        with self._changed:
            while not (self._stopping or self._abandoned):
                if not self._devices:
                    self.end()
                    return None
                now = self._tools.monotonic()
                node = min(self._due, key=lambda due: self._due[due], default=None)
                if node is not None and self._due[node] <= now:
                    del self._due[node]
                    self._set_busy()
                    return self._devices[node]
                self._changed.wait(self._rest(now))
            return None

    def _rest(self, now: float) -> float | None:
        """Settle the slot when nothing is left to be done; return how long to sleep, None: until woken."""
        times = list(self._due.values())
        if self._busy and all(self._results.get(node) in RETRIED for node in self._due):
            again = self._hold_back(now)
            if again is None:
                self._busy = False
                self._tally.show(state=self._outcome())
            else:
                times.append(again)
        # To wait for a moment that comes by itself is no standstill.
        self._tally.beat()
        return max(0.0, min(times) - now) if times else None

    def _hold_back(self, now: float) -> float | None:
        """When to look again whether a slot may be shown as collected; None: its outcome stands."""
        if self._outcome() is not SlotState.COLLECTED:
            return None
        if now < self._settle_at:
            return self._settle_at
        missing = {part for device in self._devices.values() for part in self._tools.awaited(device)}
        if missing and now < self._settle_at + self._tools.patience:
            return now + self._tools.grace
        for part in missing:
            self._results[_AWAITED + part] = Result.FAILED
            self._tally.problem(_AWAITED + part, Problem("part-not-ready", {"part": part}))
        return None

    def _outcome(self) -> SlotState:
        found = set(self._results.values())
        if found == {Result.COLLECTED}:
            return SlotState.COLLECTED
        if Result.LOCKED in found:
            return SlotState.LOCKED
        if found == {Result.GONE}:
            return SlotState.EMPTY  # the driver saw it first; that it left will be told soon
        return SlotState.FAILED if found <= {Result.FAILED, Result.GONE} else SlotState.INCOMPLETE

    def end(self) -> None:
        """Everything was pulled: too early, when something was still to be done."""
        found = set(self._results.values())
        self._tally.end(early=self._busy or not found.isdisjoint({Result.GONE, Result.AGAIN}))

    def _all_there(self, nodes: frozenset[str]) -> bool:
        """Whether the recorder has these volumes and no other: after the time in which another one may come.
        Asked from under the tally's lock, so it looks without the worker's own."""
        devices = tuple(self._devices.values())
        if nodes != {device.node for device in devices} or self._tools.monotonic() < self._settle_at:
            return False
        return not any(self._tools.awaited(device) for device in devices)

    def _is_gone(self, device: Device) -> bool:
        return self._abandoned or self._devices.get(device.node) != device

    def _set_busy(self) -> None:
        if self._busy:
            self._tally.beat()
        else:
            self._busy = True
            # At once, so that nobody takes the recorder because its first volume is collected.
            self._tally.show(state=SlotState.IDENTIFYING)

    def _forget(self, node: str) -> None:
        self._devices.pop(node, None)
        self._due.pop(node, None)
        self._waits.pop(node, None)
        self._results.pop(node, None)
        self._tally.drop(node)


def longer(wait: float) -> float:
    """The wait after this one: each reading copies a file that keeps changing as a whole."""
    return min(2 * wait, _LONGEST)


def _is_part(device: Device, disk: Device) -> bool:
    """Whether `device` is a partition of what was taken for an unpartitioned disk."""
    return disk.kind is DeviceKind.DISK and disk.sysfs != "" and device.sysfs.startswith(disk.sysfs + "/")
