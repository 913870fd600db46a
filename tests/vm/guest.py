"""The system in the guest: a root shell at its virtio-serial port, and the agent's status through it.

Time-outs are the time until a test gives up, never the time that something should take: the guest is
emulated, on a machine that others use too.
"""

import base64
import itertools
import json
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from agent.status.shape import SlotShape, StatusShape

T = TypeVar("T")

PATIENCE = 1800.0  # seconds
_STEP = 0.3
_ENDS = {"collected", "incomplete", "failed", "stuck"}
_LASTS = 60.0  # an end that stands for so long is one
_HELLO = 20.0  # until the shell is asked again whether it is there
_GRACE = 60.0  # for an answer to come, beside the time that the command itself may take


class NoAnswer(AssertionError):
    """The guest's shell does not answer: not up yet, hung or gone."""


@dataclass(frozen=True)
class Ran:
    rc: int
    out: str
    err: str


class Guest:
    def __init__(self, port: Path) -> None:
        """`port`: the Unix socket of the serial port; QEMU keeps what is sent before the guest listens."""
        self._ids = itertools.count(1)
        self._rest = b""
        self._hello: tuple[int, float] | None = None  # asked, with its time, and not answered yet
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(port))

    def close(self) -> None:
        self._socket.close()

    # commands

    def up(self, within: float = PATIENCE) -> "Guest":
        """Waits until the shell answers: also after a reboot, which loses what was asked meanwhile."""
        end = time.monotonic() + within
        while not self.answers(1.0):
            if time.monotonic() > end:
                raise NoAnswer(f"no shell after {within:.0f} s")
        return self

    def answers(self, within: float) -> bool:
        """Whether the shell is there. What is asked before it is waits for it in QEMU, so one question is
        enough for a while; it is asked anew now and then because a reboot takes it along."""
        if self._hello is None or time.monotonic() > self._hello[1] + _HELLO:
            self._hello = (next(self._ids), time.monotonic())
            self._send({"id": self._hello[0]})
        try:
            self._answer(self._hello[0], time.monotonic() + within)
        except NoAnswer:
            return False
        self._hello = None
        return True

    def run(self, *command: str, stdin: bytes = b"", check: bool = True, within: float = PATIENCE) -> Ran:
        """As root. One after the other: what shall go on meanwhile, let `systemd-run` start."""
        ran = self._run(command, stdin, within)
        told = Ran(
            ran["rc"],
            base64.b64decode(ran["out"]).decode(errors="replace"),
            base64.b64decode(ran["err"]).decode(errors="replace"),
        )
        assert told.rc == 0 or not check, f"{command}: {told}"
        return told

    def sh(self, script: str, check: bool = True) -> str:
        """What a shell script says."""
        return self.run("/bin/sh", "-c", script, check=check).out.strip()

    def read(self, path: str) -> bytes:
        ran = self._run(["cat", path], b"", PATIENCE)
        assert ran["rc"] == 0, base64.b64decode(ran["err"])
        return base64.b64decode(ran["out"])

    def size(self, path: str) -> int:
        """In bytes; -1 when it is no file."""
        return int(self._ask({"sizes": [path]}, PATIENCE)["sizes"][0])

    def write(self, path: str, content: bytes) -> None:
        self.run("tee", path, stdin=content)

    def reboot(self) -> None:
        """Asked for; `machine.until_reset()` and `up()` wait for it."""
        self.run("systemctl", "reboot", "--no-block")

    # the agent

    def get(self, resource: str, within: float = 30.0) -> Any:
        """The agent's answer to GET, as JSON; None while it does not listen."""
        answer = self._ask({"get": resource, "within": within}, within)
        if "down" in answer:
            return None
        body = base64.b64decode(answer["body"])
        assert answer["http"] == 200, (resource, answer["http"], body[:1000])
        return json.loads(body)

    def status(self) -> StatusShape | None:
        return cast(StatusShape | None, self.get("/status"))

    def clips(self, after: int = 0) -> list[dict[str, Any]]:
        """Every clip with an id above `after`; none while the agent does not listen."""
        rows: list[dict[str, Any]] = []
        while page := self.get(f"/clips?limit=1000&after={rows[-1]['id'] if rows else after}"):
            rows += page
        return rows

    def wait_for(self, condition: Callable[[StatusShape], T], within: float = PATIENCE) -> T:
        """What `condition` says of the status, once that is true."""
        end, status = time.monotonic() + within, None
        while True:
            if (status := self.status() or status) is not None and (found := condition(status)):
                return found
            assert time.monotonic() < end, f"waited in vain; status: {json.dumps(status, indent=1)}"
            time.sleep(_STEP)

    def wait_until(self, condition: Callable[[], T], within: float = PATIENCE) -> T:
        """What `condition` says, once that is true: for what the status does not tell."""
        end = time.monotonic() + within
        while not (found := condition()):
            assert time.monotonic() < end, f"waited in vain for {condition}"
            time.sleep(_STEP)
        return found

    def until_ready(self, within: float = PATIENCE) -> StatusShape:
        def ready(status: StatusShape) -> StatusShape | None:
            return status if status["ready"] else None

        return cast(StatusShape, self.wait_for(ready, within))

    def until_slot(self, name: str, *states: str, within: float = PATIENCE) -> SlotShape:
        """Gives up early when the slot came to another end, and stays there."""
        other: list[float] = []

        def there(status: StatusShape) -> SlotShape | None:
            slot = next((s for s in status["slots"] if s["slot"] == name), None)
            if slot is None or slot["state"] not in _ENDS - {*states}:
                other.clear()
            else:
                other.append(time.monotonic())
                assert other[-1] - other[0] < _LASTS, f"slot {name} came to another end: {slot}"
            return slot if slot and slot["state"] in states else None

        return cast(SlotShape, self.wait_for(there, within))

    def until_confirmed(self, clips: int, within: float = PATIENCE) -> None:
        """So many clips, and nothing on its way."""
        self.wait_for(lambda s: s["clips"]["confirmed"] == clips and s["queue"]["clips"] == 0, within)

    def until_issue(self, key: str, within: float = PATIENCE) -> dict[str, Any]:
        """The parameters of a health issue, once it stands."""
        stands = self.wait_for(lambda s: [i["params"] for i in s["health"] if i["key"] == key], within)
        return stands[0]

    # the line

    def _run(self, command: Sequence[str], stdin: bytes, within: float) -> dict[str, Any]:
        asked = {"run": list(command), "stdin": base64.b64encode(stdin).decode(), "within": within}
        return self._ask(asked, within)

    def _ask(self, what: dict[str, Any], within: float) -> dict[str, Any]:
        number = next(self._ids)
        self._send({"id": number, **what})
        return self._answer(number, time.monotonic() + within + _GRACE)

    def _send(self, what: dict[str, Any]) -> None:
        try:
            self._socket.settimeout(_GRACE)
            self._socket.sendall(json.dumps(what).encode() + b"\n")
        except OSError as error:
            raise NoAnswer(f"{what}: {error or type(error).__name__}") from error

    def _answer(self, number: int, end: float) -> dict[str, Any]:
        """The answer to that question. Those to questions that nobody waits for any more are passed over."""
        while True:
            while b"\n" not in self._rest:
                self._socket.settimeout(max(end - time.monotonic(), 0.001))
                try:
                    got = self._socket.recv(1 << 16)
                except OSError as error:
                    raise NoAnswer(f"question {number}: {error or type(error).__name__}") from error
                if not got:
                    raise NoAnswer("QEMU ended")
                self._rest += got
            line, self._rest = self._rest.split(b"\n", 1)
            try:
                answer: dict[str, Any] = json.loads(line)
            except ValueError:  # the end of a line whose beginning a reboot took
                continue
            if answer.get("id") == number:
                return answer
