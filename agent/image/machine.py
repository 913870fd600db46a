"""Who this machine is among many: the addresses of its network ports, the serial of its board."""

import re
from dataclasses import dataclass
from pathlib import Path

_SERIALS = (
    "sys/firmware/devicetree/base/serial-number",
    "sys/class/dmi/id/board_serial",
    "sys/class/dmi/id/product_serial",
)
_MAC = re.compile(r"([0-9a-f]{2})[:-]?([0-9a-f]{2})[:-]?" * 3, re.ASCII)
#: What makers leave in place of a number, in small letters without spaces and marks.
_PLACEHOLDERS = frozenset(
    (
        *("tobefilledbyoem", "defaultstring", "systemserialnumber", "baseboardserialnumber", "serialnumber"),
        *("chassisserialnumber", "notspecified", "notapplicable", "notavailable", "unknown", "invalid"),
        *("none", "empty", "0123456789", "1234567890", "123456789", "12345678", "01234567890123456789ab"),
    )
)
_SHORTEST = 4


@dataclass(frozen=True, slots=True)
class Machine:
    macs: frozenset[str]
    serials: frozenset[str]


def this_machine(root: Path) -> Machine:
    macs = {mac_of(_line(port / "address")) for port in _ports(root / "sys/class/net")}
    serials = {serial_of(_line(root / place)) for place in _SERIALS}
    return Machine(frozenset(macs - {""}), frozenset(serials - {""}))


def mac_of(written: str) -> str:
    """`00-1A-2b…`, `001a.2bxx.xxxx` and the like as `00:1a:2b:…`; "" when it is no address of one machine."""
    plain = written.strip().lower()
    found = _MAC.fullmatch(plain.replace(".", "") if plain.count(".") == 2 else plain)
    mac = ":".join(found.groups()) if found else ""
    shared = mac in ("00:00:00:00:00:00", "ff:ff:ff:ff:ff:ff")
    return "" if shared else mac


def serial_of(written: str) -> str:
    """In small letters; "" for what makers write when a board has none."""
    serial = " ".join(written.replace("\0", " ").split()).lower()
    plain = re.sub(r"[^a-z0-9]", "", serial)
    if len(plain) < _SHORTEST or plain in _PLACEHOLDERS or len(set(plain)) == 1:
        return ""
    return serial


def _ports(folder: Path) -> list[Path]:
    try:
        return [port for port in folder.iterdir() if port.name != "lo"]
    except OSError:
        return []


def _line(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")[:256]
    except OSError:
        return ""
