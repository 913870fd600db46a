"""What `doctor` says of the rack: how it is wired, whether all have room and run as fast as they could."""

import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from agent.cli.examined import Finding, Level
from agent.config import Config
from agent.dock.hubs import Missing, Place, Usb, Wiring
from agent.dock.slots import port_key
from agent.model import printable
from agent.privileged.ports import SYSFS

_ADDRESSES = 127  # devices on one bus, by the standard
_VL805, _VL805_DEVICES = "0x1106:0x3483", 32  # the controller of a Raspberry Pi 4
_NEAR = 0.9
_FULL_SPEED = 12  # Mbit/s
_HIGH_SPEED = 480
_MORE_THAN_2 = re.compile(r"2\.[1-9]|[3-9]\.")  # bcdUSB of who can do more than USB 2, or says it may
_MISSING = {
    Missing.CONTROLLER: "slot-no-controller",
    Missing.HUB: "slot-no-hub",
    Missing.PORT: "slot-no-port",
}
_DEBUG = "kernel/debug/usb/xhci"


def rack(config: Config, sysfs: Path = SYSFS) -> Iterator[Finding]:
    """Of real ports; a rack of folders has none."""
    if not config.dock.udev:
        return
    wiring = Wiring(sysfs)
    if not wiring.devices:
        yield Finding("rack", Level.WARN, "rack-no-usb")
    places = {name: wiring.place(port_key(slot.port)) for name, slot in config.dock.slots.items()}
    for controller in wiring.controllers:
        yield _room(wiring, controller, list(places.values()), sysfs)
    yield from (finding for hub in wiring.devices for finding in _hub(wiring, hub))
    for name, place in places.items():
        yield from _slot(name, config.dock.slots[name].port, place)
    yield from _twins(wiring, places)


def _room(wiring: Wiring, controller: Path, places: list[Place | Missing | None], sysfs: Path) -> Finding:
    """Whether a full rack would find room: hubs count as well, one with USB 3 twice."""
    there = wiring.on(controller)
    free = sum(
        isinstance(place, Place) and place.controller == controller and place.device is None
        for place in places
    )
    full, limit = len(there) + free, _limit(controller, sysfs)
    hubs = sum(usb.hub for usb in there)
    named = {"controller": controller.name, "devices": len(there), "hubs": hubs}
    params = {**named, "free": free, "limit": limit}
    if full > limit:
        return Finding("rack", Level.FAIL, "controller-too-many", params)
    if full > limit * _NEAR:
        return Finding("rack", Level.WARN, "controller-nearly-full", params)
    return Finding("rack", Level.OK, "controller-ok", params)


def _limit(controller: Path, sysfs: Path) -> int:
    """Of devices. The controller's own word stands where only root may read it."""
    said = _text(sysfs / _DEBUG / controller.name / "reg-cap")
    if found := re.search(r"HCSPARAMS1 = 0x([0-9a-fA-F]+)", said):
        return min(int(found[1], 16) & 0xFF, _ADDRESSES)
    ids = f"{_text(controller / 'vendor').strip()}:{_text(controller / 'device').strip()}"
    return _VL805_DEVICES if ids == _VL805 else _ADDRESSES


def _hub(wiring: Wiring, hub: Usb) -> Iterator[Finding]:
    if hub.hub and not hub.root and _slower(hub) and wiring.twin(hub) is False:
        yield Finding("rack", Level.WARN, "hub-slow", {"hub": hub.name, "product": printable(hub.product)})


def _slot(name: str, written: str, place: Place | Missing | None) -> Iterator[Finding]:
    if place is None:
        return  # on no USB port
    if isinstance(place, Missing):
        yield Finding("rack", Level.FAIL, _MISSING[place], {"slot": name, "port": written})
        return
    where: dict[str, str | int] = {
        "slot": name,
        "hub": place.hub,
        "port": place.port,
        "controller": place.controller.name,
    }
    if (usb := place.device) is None:
        yield Finding("rack", Level.OK, "slot-empty", where)
        return
    params = {**where, "product": printable(usb.product) or usb.ids, "mbits": round(usb.speed)}
    if usb.speed <= _FULL_SPEED:
        yield Finding("rack", Level.WARN, "slot-very-slow", params)
    elif place.fast and _slower(usb):
        yield Finding("rack", Level.WARN, "slot-slow", params)
    else:
        yield Finding("rack", Level.OK, "slot-docked", params)


def _slower(usb: Usb) -> bool:
    """Came up as USB 2, and says that it knows more."""
    return usb.speed == _HIGH_SPEED and _MORE_THAN_2.match(usb.version) is not None


def _twins(wiring: Wiring, places: dict[str, Place | Missing | None]) -> Iterator[Finding]:
    """Two recorders with one serial cannot be told apart by it: makers do that."""
    slots = {
        place.device.path: name
        for name, place in places.items()
        if isinstance(place, Place) and place.device is not None
    }
    alike = defaultdict(list)
    for usb in wiring.devices:
        if usb.serial and not usb.hub:
            alike[usb.ids, usb.serial].append(slots.get(usb.path, usb.name))
    for (_, serial), where in alike.items():
        if len(where) > 1:
            yield Finding("rack", Level.WARN, "serial-twice", {"serial": printable(serial), "where": where})


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
