"""Block devices of recorders, and the USB devices that are none, from udev.

The order matters: first the monitor listens, then what is there is enumerated, then doubles are dropped;
so nothing that is plugged in meanwhile is missed. Events get lost when the kernel's buffer overflows, so
all of it is done anew after an error, and the enumeration every `reconcile` seconds.
"""

import logging
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agent.dock.describe import describe
from agent.dock.events import Arrived, Event, Left
from agent.dock.visitors import Visitors, bystander
from agent.model import Device, DeviceKind
from agent.privileged import ports

log = logging.getLogger(__name__)

_BUFFER = 16 << 20  # bytes; 32 recorders at once are some hundred events of a few KiB
_CONTROL = Path("/run/udev/control")  # there while udevd runs


class Known:
    """What was reported, by node: makes each arrival and each departure one event."""

    def __init__(self, put: Callable[[Event], None]) -> None:
        self._put = put
        self._devices: dict[str, tuple[Device, str]] = {}

    def nodes(self) -> frozenset[str]:
        return frozenset(self._devices)

    def seen(self, node: str, device: Device | None, sequence: str) -> bool:
        """`device` is at `node` now; `sequence` tells two disks that had the same node. True when new."""
        old, old_sequence = self._devices.get(node, (None, ""))
        if _content(device) == _content(old) and (device is None or sequence == old_sequence):
            return False
        # A disk in which a file system or label is found a moment later is still the same recorder.
        if old is not None and not (device and old.kind is DeviceKind.DISK and sequence == old_sequence):
            self._put(Left(node))
        if device is None:
            del self._devices[node]
        else:
            self._devices[node] = device, sequence
            self._put(Arrived(device))
        return True


def _content(device: Device | None) -> tuple[object, ...]:
    """What makes it another recorder or another card; a serial number read late does not."""
    return (device.kind, device.port, device.lun, device.fs_type, device.fs_uuid) if device else ()


class UdevSource:
    """Reports devices that our udev rules gave the tag. One thread; restarts its monitor by itself."""

    name = "udev"

    def __init__(
        self,
        tag: str = "recorder-station",
        reconcile: float = 30.0,
        sysfs: Path = ports.SYSFS,
        buffer: int = _BUFFER,
    ) -> None:
        self.problem = ""  # why nothing can be noticed; for the health page and `doctor`
        self._tag = tag
        self._reconcile = reconcile
        self._sysfs = sysfs
        self._buffer = buffer
        self._ready = threading.Event()
        self._wake_reader, self._wake_writer = os.pipe()
        self._stopping = False
        self._came_round = time.monotonic()
        self._thread: threading.Thread | None = None

    def start(self, put: Callable[[Event], None]) -> None:
        """Returns when the monitor listens and what is plugged in was reported (or that is impossible)."""
        known = Known(put)
        self._thread = threading.Thread(
            target=self._run, args=(known, Visitors(put)), name="udev", daemon=True
        )
        self._thread.start()
        self._ready.wait(timeout=5)

    def stop(self) -> None:
        self._stopping = True
        os.write(self._wake_writer, b"x")
        if self._thread is not None:
            self._thread.join(timeout=5)

    def alive(self) -> bool:
        return not self.problem and self._thread is not None and self._thread.is_alive() and _CONTROL.exists()

    def idle_for(self) -> float:
        return time.monotonic() - self._came_round

    def _run(self, known: Known, visitors: Visitors) -> None:
        while not self._stopping:
            try:
                self._watch(known, visitors)
                self.problem = ""
            except (OSError, ImportError) as e:  # ImportError: no libudev on this machine
                if str(e) != self.problem:
                    log.error("udev cannot be watched: %s", e)
                self.problem = str(e) or repr(e)
                self._ready.set()
                self._sleep()

    def _watch(self, known: Known, visitors: Visitors) -> None:
        """Watch with one monitor. Returns when a new one is needed: it failed, or an enumeration found
        what it had not told. Raises OSError when there can be none."""
        import pyudev  # here, because it needs libudev: without it the rest of the station works

        context = pyudev.Context()
        monitor = pyudev.Monitor.from_netlink(context, source="udev")
        monitor.filter_by_tag(self._tag)
        _enlarge(monitor, self._buffer)
        monitor.start()
        self._enumerate(context, known, visitors)
        self.problem = ""
        self._ready.set()
        waiting = select.poll()
        waiting.register(monitor.fileno(), select.POLLIN)
        waiting.register(self._wake_reader, select.POLLIN)
        while not self._stopping:
            self._came_round = time.monotonic()
            happened = dict(waiting.poll(visitors.wait(self._reconcile) * 1000))
            visitors.look()
            if monitor.fileno() in happened:
                try:
                    self._drain(monitor, known, visitors)
                except OSError as e:  # ENOBUFS: events are lost
                    log.warning("udev's monitor failed, starting another: %s", e)
                    return
            elif not happened and self._enumerate(context, known, visitors):
                log.warning("udev's monitor missed something, starting another")
                return

    def _drain(self, monitor: Any, known: Known, visitors: Visitors) -> None:
        while (found := monitor.poll(timeout=0)) is not None:
            if found.subsystem == "usb":
                self._seen_usb(found, visitors)
            elif found.action != "remove":
                self._seen(found, known)
            elif found.device_node:
                known.seen(found.device_node, None, "")

    def _enumerate(self, context: Any, known: Known, visitors: Visitors) -> bool:
        """Report the difference between what is there and what is known. True when there was one."""
        block = self._tagged(context, "block")
        found = {device.device_node: device for device in block if device.device_node}
        usb = {device.sys_path: device for device in self._tagged(context, "usb")}
        new = [self._seen(device, known) for device in found.values()]
        new += [self._seen_usb(device, visitors) for device in usb.values()]
        gone = [known.seen(node, None, "") for node in known.nodes() - found.keys()]
        gone += [visitors.seen(path, None) for path in visitors.nodes() - usb.keys()]
        return any(new + gone)

    def _tagged(self, context: Any, subsystem: str) -> Any:
        return context.list_devices(subsystem=subsystem).match_tag(self._tag).match_is_initialized()

    def _seen_usb(self, found: Any, visitors: Visitors) -> bool:
        properties = dict(_texts(found.properties))
        there = found.action != "remove" and self._is_ours(properties)
        try:
            visitor = bystander(properties, found.sys_path, self._sysfs) if there else None
        except OSError as e:
            log.info("%s is gone already: %s", found.sys_path, e)
            return False
        return visitors.seen(found.sys_path, visitor)

    def _is_ours(self, properties: Mapping[str, str]) -> bool:
        """libudev matches every tag that a device ever had; only the current ones say whose it is now."""
        return self._tag in properties.get("CURRENT_TAGS", properties.get("TAGS", "")).split(":")

    def _seen(self, found: Any, known: Known) -> bool:
        properties = dict(_texts(found.properties))
        try:
            device = describe(properties, found.sys_path, self._sysfs) if self._is_ours(properties) else None
        except OSError as e:
            # It vanished from sysfs while it was looked at; its `remove` follows.
            log.info("%s is gone already: %s", found.device_node, e)
            return False
        new = known.seen(found.device_node, device, properties.get("DISKSEQ", ""))
        if device is not None and properties.get("DEVTYPE") == "partition":
            # Only after the partition arrived, so that its slot does not become empty in between.
            known.seen(f"/dev/{Path(found.sys_path).parent.name}", None, "")
        return new

    def _sleep(self) -> None:
        select.select([self._wake_reader], [], [], self._reconcile)
        self._came_round = time.monotonic()


def _texts(properties: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name in properties:
        try:
            yield name, properties[name]
        except UnicodeDecodeError:
            # Nothing that we need is ever outside UTF-8: udev escapes it. A strange device may have more.
            log.info("udev property %s is not text", name)


def _enlarge(monitor: Any, size: int) -> None:
    """Beyond rmem_max needs CAP_NET_ADMIN; without it take what is allowed."""
    try:
        monitor.set_receive_buffer_size(size)
    except OSError:
        with socket.socket(fileno=os.dup(monitor.fileno())) as plain:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)
