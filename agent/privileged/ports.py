"""Which physical socket a block device hangs on.

udev's ID_PATH names controller and chain of ports, e.g. `pci-0000:00:03.0-usb-0:3.2:1.0-scsi-0:0:0:1`:
controller `pci-0000:00:03.0`, port 2 of the hub in port 3, LUN 1. A socket with USB 3 contacts is two
ports to Linux, one on the USB 2 bus and one on the USB 3 bus, whose numbers need not be equal; sysfs
links them as `peer`. The USB 2 port's chain names the socket, whichever way the recorder came up.
"""

import re
from pathlib import Path
from typing import NamedTuple

from agent.privileged.usb import device_above

SYSFS = Path("/sys")

# The controller may itself contain "usb" (platform-fe980000.usb-usb-0:1:1.0); the chain cannot.
_USB = re.compile(r"(?P<controller>.+)-usb(?:v\d+)?-0:(?P<chain>\d+(?:\.\d+)*)(?::\d+\.\d+(?P<rest>-.*)?)?")
_LUN = re.compile(r"-scsi-\d+:\d+:\d+:(\d+)$")
_ROOT_PORT = re.compile(r"usb\d+-port(\d+)")
_HUB_PORT = re.compile(r"\d+-(\d+(?:\.\d+)*)-port(\d+)")


class Socket(NamedTuple):
    port: str  # pci-0000:00:03.0-usb-0:3.2
    lun: int


def parse(id_path: str) -> Socket | None:
    """The socket that an ID_PATH names; None when it names none on USB."""
    found = _USB.fullmatch(id_path)
    if not found:
        return None
    lun = _LUN.search(found["rest"] or "")
    return Socket(f"{found['controller']}-usb-0:{found['chain']}", int(lun[1]) if lun else 0)


def locate(id_path: str, sysfs: str, root: Path = SYSFS) -> Socket:
    """The socket of a block device: `sysfs` is its folder below `root`. What is on no USB port is its
    own socket, called by its ID_PATH or else by the last part of its path."""
    socket = parse(id_path)
    if socket is None:
        return Socket(id_path or Path(sysfs).name, 0)
    usb = device_above(Path(sysfs), root) if sysfs else None
    return socket if usb is None else Socket(_folded(socket.port, usb), socket.lun)


def _folded(port: str, usb: Path) -> str:
    """The key by the USB 2 side of the socket that the device `usb` hangs in."""
    if not _superspeed(usb):
        return port
    peer = usb / "port" / "peer"
    chain = _chain(peer.resolve().name) if peer.exists() else ""
    base, _, own = port.rpartition("-usb-0:")
    # Without a peer its number may be the one of another socket on the USB 2 bus: keep them apart.
    return f"{base}-usb-0:{chain}" if chain else f"{base}-usbv3-0:{own}"


def _superspeed(usb: Path) -> bool:
    bus = usb
    while not re.fullmatch(r"usb\d+", bus.name):
        if bus == bus.parent:
            return False
        bus = bus.parent
    return float((bus / "speed").read_text()) >= 5000  # Mbit/s; USB 2 root hubs say 480


def _chain(port_name: str) -> str:
    """`usb1-port3` -> `3`; `1-3.1-port2` -> `3.1.2`."""
    if found := _ROOT_PORT.fullmatch(port_name):
        return found[1]
    if found := _HUB_PORT.fullmatch(port_name):
        return f"{found[1]}.{found[2]}"
    return ""
