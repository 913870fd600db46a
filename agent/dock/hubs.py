"""How the rack is wired: controllers, hubs, what is plugged in where and how fast. Read from sysfs alone.

A controller with USB 3 has two buses, and a USB 3 hub shows on both of them, as two devices.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from functools import cached_property
from pathlib import Path

from agent.privileged.ports import SYSFS

_BUS = re.compile(r"usb(\d+)")
_DEVICE = re.compile(r"(\d+)-(\d+(?:\.\d+)*)")
_PORT = re.compile(r"(?P<controller>.+)-usb(?P<only3>v3)?-0:(?P<chain>\d+(?:\.\d+)*)")
_HUB_CLASS = "09"
SUPER = 5000  # Mbit/s: USB 3, and a bus of its own


@dataclass(frozen=True, slots=True)
class Usb:
    """One device on USB, root hubs included."""

    path: Path  # below sysfs, resolved
    controller: Path
    bus: Path  # its root hub
    speed: float  # Mbit/s
    version: str  # "2.10": USB 2, of a device that says it can do more
    ids: str  # vendor:product, in hex
    product: str
    serial: str
    hub: bool

    @property
    def name(self) -> str:
        """`1-3.2`; of a root hub `usb1`."""
        return self.path.name

    @property
    def root(self) -> bool:
        return self.path == self.bus


class Missing(Enum):
    """Why a socket that the configuration names is not on this machine."""

    CONTROLLER = auto()
    HUB = auto()
    PORT = auto()


@dataclass(frozen=True, slots=True)
class Place:
    """A socket that is there. `fast`: it has contacts for USB 3."""

    controller: Path
    hub: str
    port: int
    fast: bool
    device: Usb | None  # what is plugged in


class Wiring:
    """One look at all of it."""

    def __init__(self, sysfs: Path = SYSFS) -> None:
        self._sysfs = sysfs
        self.devices = sorted(_devices(sysfs), key=lambda usb: _natural(usb.name))

    @cached_property
    def controllers(self) -> list[Path]:
        return sorted({usb.controller for usb in self.devices})

    def on(self, controller: Path) -> list[Usb]:
        """Devices on it, hubs included, without those that are the controller's own."""
        return [usb for usb in self.devices if usb.controller == controller and not usb.root]

    def place(self, port: str) -> Place | Missing | None:
        """Of a socket as the configuration calls it; None for one that is not on USB."""
        found = _PORT.fullmatch(port)
        if found is None:
            return None
        buses = [usb for usb in self.devices if usb.root and _called(found["controller"], usb.controller)]
        at = next((bus for bus in buses if (bus.speed >= SUPER) == bool(found["only3"])), None)
        if at is None:
            return Missing.CONTROLLER
        *above, last = map(int, found["chain"].split("."))
        for number in above:
            socket = _socket(at, number)
            below = self._plugged.get(socket) if socket else None
            if below is None or not below.hub:
                return Missing.HUB if socket else Missing.PORT
            at = below
        socket = _socket(at, last)
        return self._at(at, last, socket) if socket else Missing.PORT

    def twin(self, hub: Usb) -> bool | None:
        """Whether the USB 3 half of a hub on the USB 2 bus is there, too; None where its socket has none."""
        peer = hub.path / "port/peer"
        return peer.resolve() in self._plugged if peer.exists() else None

    def _at(self, hub: Usb, number: int, socket: Path) -> Place:
        peer = socket / "peer"
        other = self._plugged.get(peer.resolve()) if peer.exists() else None
        fast = peer.exists() or hub.speed >= SUPER
        return Place(hub.controller, hub.name, number, fast, self._plugged.get(socket) or other)

    @cached_property
    def _plugged(self) -> dict[Path, Usb]:
        """By the folder of the port."""
        ports = ((usb.path / "port", usb) for usb in self.devices)
        return {port.resolve(): usb for port, usb in ports if port.exists()}


def _devices(sysfs: Path) -> Iterator[Usb]:
    folder = sysfs / "bus/usb/devices"
    for link in folder.iterdir() if folder.is_dir() else ():
        if not (_DEVICE.fullmatch(link.name) or _BUS.fullmatch(link.name)):
            continue  # an interface
        path = link.resolve()
        bus = next((each for each in (path, *path.parents) if _BUS.fullmatch(each.name)), None)
        speed = _text(path / "speed")
        if bus is None or not speed:
            continue  # gone again
        yield Usb(
            path=path,
            controller=bus.parent,
            bus=bus,
            speed=float(speed),
            version=_text(path / "version"),
            ids=f"{_text(path / 'idVendor')}:{_text(path / 'idProduct')}",
            product=_text(path / "product"),
            serial=_text(path / "serial"),
            hub=_text(path / "bDeviceClass") == _HUB_CLASS,
        )


def _called(written: str, controller: Path) -> bool:
    """udev's path of a controller ends with the kernel's name of it: `…-pci-0000:01:00.0`."""
    return re.fullmatch(rf"(?:.+-)?[a-z]+-{re.escape(controller.name)}", written) is not None


def _socket(hub: Usb, number: int) -> Path | None:
    found = _BUS.fullmatch(hub.name)
    interface = f"{found[1]}-0:1.0" if found else f"{hub.name}:1.0"
    port = hub.path / interface / f"{hub.name}-port{number}"
    return port.resolve() if port.exists() else None


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _natural(name: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", name)]
