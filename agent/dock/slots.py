"""Which slot a device belongs to."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from agent.dock.events import Bystander
from agent.model import Device
from agent.privileged import ports

RACK = "rack:"  # a port of the simulated rack is called rack:<name>


class SlotSettings(Protocol):
    @property
    def port(self) -> str: ...
    @property
    def reader(self) -> bool: ...


class DockSettings(Protocol):
    """The part `dock` of the configuration, as far as it is read here."""

    @property
    def slots(self) -> Mapping[str, SlotSettings]: ...
    @property
    def stuck_after(self) -> float: ...  # seconds
    @property
    def mounts(self) -> Path: ...


def slot_of(device: Device | Bystander, named: Mapping[str, SlotSettings]) -> str:
    """The slot's name. In a card reader each LUN is a slot of its own; elsewhere all LUNs and
    partitions of a port are one. A port without a name is called by its path, and collects."""
    for name, slot in named.items():
        if port_key(slot.port) == device.port:
            return f"{name}.{device.lun}" if slot.reader else name
    return device.port.removeprefix(RACK)


def port_key(written: str) -> str:
    """A port as people copy it from somewhere, a whole ID_PATH included."""
    socket = ports.parse(written)
    return socket.port if socket and "-usbv3-" not in written else written
