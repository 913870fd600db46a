"""A USB device of any description, told to QEMU over the usbredir protocol (`usb-redir`).

QEMU's own devices are honest. This one has the descriptors that a test wrote, and answers nothing else: that
is enough for a guard that must judge a device before anybody speaks to it.
"""

import contextlib
import itertools
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.vm.machine import Machine, Port

_HELLO, _CONNECT, _INTERFACES, _ENDPOINTS, _SET_CONFIGURATION, _GET_CONFIGURATION = 0, 1, 4, 5, 6, 7
_CONFIGURATION, _SET_ALTERNATIVE, _GET_ALTERNATIVE, _ALTERNATIVE, _CONTROL, _BULK = 8, 9, 10, 11, 100, 101
#: What QEMU wants of whoever sits at an xHCI port: endpoints with their sizes, ids of 64 bits, long lengths.
_ABLE = 1 << 4 | 1 << 5 | 1 << 6
_HIGH_SPEED, _UNUSED, _STALL, _MOST = 2, 255, 4, 32
_DEVICE, _CONFIG, _STRING, _GET_DESCRIPTOR = 1, 2, 3, 6
_numbers = itertools.count()
_NAMES = ("Nobody", "Odd device", "1")


def interface(number: int, kind: str, endpoints: Sequence[bytes] = (), between: bytes = b"") -> bytes:
    """`kind`: class, subclass and protocol, e.g. 080650. `between`: what stands before its endpoints."""
    head = bytes([9, 4, number, 0, len(endpoints), *bytes.fromhex(kind), 0])
    return head + between + b"".join(endpoints)


def endpoint(address: int, kind: int, size: int, interval: int = 0) -> bytes:
    return struct.pack("<BBBBHB", 7, 5, address, kind, size, interval)


_BULK_KIND, _INTERRUPT_KIND = 2, 3
_HID = bytes([9, 0x21, 0x11, 1, 0, 1, 0x22, 63, 0])
DISK = interface(0, "080650", [endpoint(0x81, _BULK_KIND, 512), endpoint(0x02, _BULK_KIND, 512)])
KEYBOARD = interface(1, "030101", [endpoint(0x83, _INTERRUPT_KIND, 8, 7)], _HID)


@dataclass(frozen=True)
class Odd:
    """One configuration of `interfaces` interfaces, described by `body`."""

    body: bytes
    interfaces: int
    vendor: int = 0x1209
    product: int = 0x0001

    @property
    def configuration(self) -> bytes:
        return struct.pack("<BBHBBBBB", 9, 2, len(self.body) + 9, self.interfaces, 1, 0, 0x80, 50) + self.body

    @property
    def device(self) -> bytes:
        numbers = (self.vendor, self.product, 0x100, 1, 2, 3, 1)
        return struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x200, 0, 0, 0, 64, *numbers)

    def descriptor(self, kind: int, number: int) -> bytes | None:
        if kind == _STRING and number == 0:
            return b"\x04\x03\x09\x04"
        if kind == _STRING and number <= len(_NAMES):
            text = _NAMES[number - 1].encode("utf-16-le")
            return bytes([len(text) + 2, 3]) + text
        return {_DEVICE: self.device, _CONFIG: self.configuration}.get(kind)

    def parts(self) -> list[tuple[bytes, list[bytes]]]:
        """Each interface with its endpoints, as the kernel reads them."""
        found: list[tuple[bytes, list[bytes]]] = []
        at = 0
        while at < len(self.body):
            part = self.body[at : at + self.body[at]]
            if part[1] == 4 and part[3] == 0:
                found.append((part, []))
            elif part[1] == 5 and found:
                found[-1][1].append(part)
            at += len(part)
        return found


class _Line:
    """The device's end of the connection to QEMU. Ends with it."""

    def __init__(self, odd: Odd, listening: socket.socket) -> None:
        self._odd = odd
        self._listening = listening
        threading.Thread(target=self._run, name="usbredir", daemon=True).start()

    def _run(self) -> None:
        with self._listening, contextlib.suppress(OSError, EOFError):
            self._line, _ = self._listening.accept()
            with self._line:
                self._send(_HELLO, b"recorder-station tests".ljust(64, b"\0") + struct.pack("<I", _ABLE))
                kind, length, number = struct.unpack("<III", self._get(12))
                while True:
                    self._handle(kind, self._get(length), number)
                    kind, length, number = struct.unpack("<IIQ", self._get(16))

    def _get(self, length: int) -> bytes:
        got = b""
        while len(got) < length:
            more = self._line.recv(length - len(got))
            if not more:
                raise EOFError
            got += more
        return got

    def _send(self, kind: int, body: bytes, number: int = 0) -> None:
        form = "<III" if kind == _HELLO else "<IIQ"
        self._line.sendall(struct.pack(form, kind, len(body), number) + body)

    def _handle(self, kind: int, body: bytes, number: int) -> None:
        if kind == _HELLO:
            self._tell_parts()
            numbers = (self._odd.vendor, self._odd.product)
            self._send(_CONNECT, struct.pack("<BBBBHH", _HIGH_SPEED, 0, 0, 0, *numbers))
        elif kind in (_SET_CONFIGURATION, _GET_CONFIGURATION):
            self._tell_parts()
            self._send(_CONFIGURATION, bytes([0, body[0] if body else 1]), number)
        elif kind in (_SET_ALTERNATIVE, _GET_ALTERNATIVE):
            self._send(_ALTERNATIVE, bytes([0, body[0], body[1] if len(body) > 1 else 0]), number)
        elif kind == _CONTROL:
            self._control(body, number)
        elif kind == _BULK:
            self._send(_BULK, struct.pack("<BBHIH", body[0], _STALL, 0, 0, 0), number)

    def _control(self, body: bytes, number: int) -> None:
        at, request, of, _, value, index, length = struct.unpack("<BBBBHHH", body[:10])
        answer: bytes | None = b""
        if of & 0x80:
            wanted = request == _GET_DESCRIPTOR
            answer = self._odd.descriptor(value >> 8, value & 0xFF) if wanted else bytes(length)
        told = (answer or b"")[:length]
        status = _STALL if answer is None else 0
        size = len(told) if of & 0x80 else length
        head = struct.pack("<BBBBHHH", at, request, of, status, value, index, size)
        self._send(_CONTROL, head + told, number)

    def _tell_parts(self) -> None:
        kinds, intervals, owners, sizes = [_UNUSED] * _MOST, [0] * _MOST, [0] * _MOST, [64] * _MOST
        kinds[0] = kinds[16] = 0
        parts = self._odd.parts()
        for part, endpoints in parts:
            for each in endpoints:
                place = (each[2] & 0x80) >> 3 | (each[2] & 15)
                kinds[place], intervals[place], owners[place] = each[3] & 3, each[6], part[2]
                sizes[place] = each[4] | each[5] << 8
        self._send(_ENDPOINTS, bytes(kinds + intervals + owners) + struct.pack(f"<{_MOST}H", *sizes))
        columns = [bytes(part[field] for part, _ in parts).ljust(_MOST, b"\0") for field in (2, 5, 6, 7)]
        self._send(_INTERFACES, struct.pack("<I", len(parts)) + b"".join(columns))


def plug_odd(machine: Machine, odd: Odd, port: Port, folder: Path) -> None:
    """Pulled as everything else, by `machine.pull(port)`."""
    path = folder / f"{port.controller}-{port.number}"
    path.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(path))
    listening.listen(1)
    _Line(odd, listening)
    name = f"odd-{next(_numbers)}"
    address = {"type": "unix", "data": {"path": str(path)}}
    machine.qmp(
        "chardev-add", id=name, backend={"type": "socket", "data": {"addr": address, "server": False}}
    )
    machine.plug_device("usb-redir", port, chardev=name)
