"""Hands what happens at the ports to the slots: one worker for each occupied slot.

A recorder that is stuck in the kernel is taken off its bus, which ends its I/O and lets its thread go.
Until then the worker is abandoned: its slot shows `stuck`, may be used again, and is not waited for.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from agent.dock.board import Board
from agent.dock.bystanders import Bystanders
from agent.dock.docking import Lender, Tools
from agent.dock.events import Arrived, Bystander, Event, Left, Ordered, Source
from agent.dock.slots import DockSettings, slot_of
from agent.dock.worker import Worker
from agent.model import Device, Problem, SlotState, printable

log = logging.getLogger(__name__)

_TICK = 10.0  # seconds; between two looks at the workers when nothing happens
_SWEEP = 30.0  # seconds; between two tries to end a mount that was busy


class Mounter(Lender, Protocol):
    def clean(self) -> None: ...
    def sweep(self) -> None: ...
    def disconnect(self, device: Device) -> Path | None: ...


class _Stuck:
    """A slot whose worker was abandoned, until its recorder is pulled or another one is docked."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker
        # Disconnecting makes the nodes vanish; the recorder itself leaves when its USB device does.
        self.usb: Path | None = None
        self.disconnected = threading.Event()

    def pulled(self) -> bool:
        still_there = self.usb is not None and self.usb.exists()
        return self.disconnected.is_set() and not self.worker.devices and not still_there


class Dock:
    def __init__(
        self,
        settings: Callable[[], DockSettings],
        sources: Sequence[Source],
        mounts: Mounter,
        tools: Tools,
        out_of_use: Mapping[str, float] | None = None,
    ) -> None:
        """`out_of_use`: slots that were stopped, each with since when; what changes is told by `ordered`."""
        self._settings = settings
        self._sources = sources
        self._mounts = mounts
        self._tools = tools
        self._board: Board = tools.board
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._workers: dict[str, Worker] = {}  # slot -> the worker that owns it
        self._owners: dict[str, Worker] = {}  # node -> the worker that was told of it
        self._former: list[Worker] = []  # do not own their slot any more, and still end
        self._stuck: dict[str, _Stuck] = {}
        self._out_of_use = dict(out_of_use or {})
        self._turned_away: dict[str, Device] = {}  # node -> what sits in such a slot
        self._bystanders = Bystanders(tools.board)
        self._named: frozenset[str] = frozenset()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="dock", daemon=True)
        self._came_round = time.monotonic()
        self._swept = time.monotonic()
        self._sweeper: threading.Thread | None = None

    def start(self) -> None:
        """Clean up after an agent that was killed, show the named slots, begin to watch."""
        self._mounts.clean()
        for slot, since in self._out_of_use.items():
            self._board.out_of_use(slot, since)
        self._show_named()
        self._thread.start()
        for source in self._sources:
            source.start(self._events.put)

    def stop(self, timeout: float) -> list[str]:
        """End all work at a safe point and unmount. Returns the slots whose threads did not end in time."""
        until = time.monotonic() + timeout
        self._stopping.set()
        self._events.put(None)
        self._thread.join(timeout)
        workers = [*self._workers.values(), *self._former]
        for worker in workers:
            worker.stop()
        for source in self._sources:
            source.stop()
        given_up = {stuck.worker for stuck in self._stuck.values()}  # these had their time
        for worker in workers:
            worker.join(0.0 if worker in given_up else max(0.0, until - time.monotonic()))
        return [worker.slot for worker in workers if worker.alive]

    def ordered(self, slot: str, out_of_use: float | None) -> None:
        """A slot takes no recorder from now on, what is in it is finished; None: it takes them again."""
        self._events.put(Ordered(slot, out_of_use))

    def beats(self) -> dict[str, float]:
        """Seconds since the last progress, by name. A worker that waits for the officer, or that is stuck
        and disconnected, is not among them; `dock` and the sources come round at least every 30 s."""
        beats = {f"source {source.name}": source.idle_for() for source in self._sources}
        beats["dock"] = time.monotonic() - self._came_round
        for slot, worker in list(self._workers.items()):
            idle = worker.idle_for()
            if idle is not None:
                beats[f"slot {slot}"] = idle
        return beats

    def step(self, timeout: float) -> None:
        """Handle the next event, waiting for it at most so many seconds, and look at the workers."""
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            event = None
        self._came_round = time.monotonic()
        if isinstance(event, Arrived):
            self._arrived(event.device)
        elif isinstance(event, Left):
            self._left(event.node)
        elif isinstance(event, Bystander):
            self._bystanders.arrived(slot_of(event, self._settings().slots), event)
        elif isinstance(event, Ordered):
            self._ordered(event)
        self._look()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.step(min(_TICK, self._settings().stuck_after / 4))

    def _arrived(self, device: Device) -> None:
        slot = slot_of(device, self._settings().slots)
        worker = self._workers.get(slot)
        if worker is not None and worker.alive and worker.devices and slot not in self._stuck:
            log.info("slot %s: %s arrived too", slot, printable(device.node))
            worker.arrive(device)
        elif slot in self._out_of_use:
            self._turn_away(slot, device)
            return
        else:
            log.info("slot %s: %s arrived", slot, printable(device.node))
            self._retire(slot)
            worker = self._workers[slot] = Worker(slot, self._tools)
            worker.start(device)
        self._owners[device.node] = worker

    def _turn_away(self, slot: str, device: Device) -> None:
        self._owners.pop(device.node, None)
        self._turned_away[device.node] = device
        problem = Problem("slot-out-of-use", {"slot": slot})
        self._bystanders.arrived(
            slot, Bystander(device.node, device.port, problem, lun=device.lun, state=SlotState.OUT_OF_USE)
        )

    def _ordered(self, order: Ordered) -> None:
        log.info("slot %s: %s", order.slot, "used again" if order.out_of_use is None else "out of use")
        if order.out_of_use is None:
            self._out_of_use.pop(order.slot, None)
        else:
            self._out_of_use[order.slot] = order.out_of_use
        self._board.out_of_use(order.slot, order.out_of_use)

    def _take_in(self) -> None:
        """What waits in a slot that is used again, or is called otherwise by now."""
        named = self._settings().slots
        for node, device in list(self._turned_away.items()):
            if slot_of(device, named) not in self._out_of_use:
                del self._turned_away[node]
                self._bystanders.left(node)
                self._arrived(device)

    def _left(self, node: str) -> None:
        self._turned_away.pop(node, None)
        self._bystanders.left(node)
        worker = self._owners.pop(node, None)
        if worker is not None:
            log.info("slot %s: %s left", worker.slot, printable(node))
            worker.leave(node)

    def _retire(self, slot: str) -> None:
        """Another docking takes the slot over; the last one may still be unmounting, or stuck."""
        self._stuck.pop(slot, None)
        worker = self._workers.pop(slot, None)
        if worker is not None:
            worker.abandon()
            self._former.append(worker)

    def _look(self) -> None:
        limit = self._settings().stuck_after
        for slot, worker in list(self._workers.items()):
            idle = worker.idle_for()
            if idle is not None and idle > limit:
                self._give_up(slot, worker, idle)
            elif not worker.alive and not worker.devices:
                worker.end()
                del self._workers[slot]
        for slot, stuck in list(self._stuck.items()):
            if stuck.pulled():
                del self._stuck[slot]
                self._board.begin(slot)
        self._former = [worker for worker in self._former if worker.alive]
        self._take_in()
        self._read_again(frozenset(self._tools.lost()))
        self._bystanders.show(self._workers.keys() | self._stuck.keys())
        self._show_named()
        if time.monotonic() - self._swept > _SWEEP:
            self._swept = time.monotonic()
            self._sweep()

    def _read_again(self, recorders: frozenset[str]) -> None:
        """While they stand here they can help, and nobody should take them for collected."""
        for slot in self._board.snapshot() if recorders else ():
            if slot.recorder in recorders and (worker := self._workers.get(slot.slot)):
                log.warning("slot %s: a copy of its recorder went bad; it is read again", slot.slot)
                worker.read_again()

    def _sweep(self) -> None:
        """In a thread of its own: to end a mount may take seconds, and for ever when its disk hangs."""
        if self._sweeper is None or not self._sweeper.is_alive():
            self._sweeper = threading.Thread(target=self._mounts.sweep, name="sweep", daemon=True)
            self._sweeper.start()

    def _give_up(self, slot: str, worker: Worker, idle: float) -> None:
        log.error("slot %s: no progress for %.0f s; it is disconnected", slot, idle)
        worker.abandon(state=SlotState.STUCK, problems=(Problem("stuck", {"seconds": round(idle)}),))
        self._former.append(self._workers.pop(slot))
        stuck = self._stuck[slot] = _Stuck(worker)
        # The kernel may take its time over it, and the other slots must not wait.
        threading.Thread(
            target=self._disconnect, args=(stuck,), name=f"disconnect {slot}", daemon=True
        ).start()

    def _disconnect(self, stuck: _Stuck) -> None:
        # Once for each port: its other partitions go with it.
        for device in {device.port: device for device in stuck.worker.devices}.values():
            try:
                stuck.usb = self._mounts.disconnect(device) or stuck.usb
            except OSError as e:
                log.error("slot %s: %s cannot be disconnected: %s", stuck.worker.slot, device.node, e)
        stuck.disconnected.set()

    def _show_named(self) -> None:
        """Free slots of the cabinet are shown too, and all that are out of use. A name that left the
        configuration goes when free."""
        slots = self._settings().slots
        named = frozenset(name for name, slot in slots.items() if not slot.reader) | self._out_of_use.keys()
        taken = self._workers.keys() | self._stuck.keys() | self._bystanders.slots
        for slot in named - self._named - taken:
            self._board.begin(slot)
        for slot in self._named - named - taken:
            self._board.remove(slot)
        self._named = named | (self._named & taken)
