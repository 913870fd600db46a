"""QEMU's machine protocol: JSON lines over a Unix socket, commands with answers and events in between."""

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Event = dict[str, Any]


class QmpError(AssertionError):
    """QEMU refused a command, or is gone."""


class Qmp:
    """One connection. Not for several threads."""

    def __init__(self, path: Path, within: float) -> None:
        self._within = within
        self._events: list[Event] = []
        self._rest = b""
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(within)
        self._socket.connect(str(path))
        self._next()  # the greeting
        self.command("qmp_capabilities")

    def command(self, name: str, **arguments: Any) -> Any:
        """What QEMU answers. `_` in the names of arguments stands for `-`."""
        told = {key.replace("_", "-"): value for key, value in arguments.items()}
        return self.raw(name, told)

    def raw(self, name: str, arguments: dict[str, Any]) -> Any:
        """As `command`, for names that have both `_` and `-`."""
        self._socket.settimeout(self._within)
        request = {"execute": name, "arguments": arguments}
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while True:
                answer = self._next()
                if "event" in answer:
                    self._events.append(answer)
                elif "error" in answer:
                    raise QmpError(f"{request}: {answer['error']['desc']}")
                else:
                    return answer["return"]
        except OSError as error:
            raise QmpError(f"{request}: {error or type(error).__name__}") from error

    def event(
        self, name: str, condition: Callable[[Event], bool] = lambda _: True, within: float = 0
    ) -> Event:
        """The first such event that nobody took yet, waited for."""
        end = time.monotonic() + (within or self._within)
        while True:
            for event in self._events:
                if event["event"] == name and condition(event.get("data", {})):
                    self._events.remove(event)
                    return event
            left = end - time.monotonic()
            if left <= 0:
                raise QmpError(f"no event {name}; there were {self._events}")
            self._socket.settimeout(left)
            try:
                self._events.append(self._next())
            except TimeoutError:
                continue
            except OSError as error:
                raise QmpError(f"no event {name}: {error}") from error

    def close(self) -> None:
        self._socket.close()

    def _next(self) -> dict[str, Any]:
        while b"\n" not in self._rest:
            got = self._socket.recv(65536)
            if not got:
                raise ConnectionResetError("QEMU ended")
            self._rest += got
        line, self._rest = self._rest.split(b"\n", 1)
        message: dict[str, Any] = json.loads(line)
        return message
