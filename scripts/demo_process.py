"""The demo's processes: each ends with the demo, however that ends, and has a log of its own."""

import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

HOST = "127.0.0.1"
START_WITHIN = 60.0  # seconds
LAST_WORDS = 15  # lines of a log
#: Below those that the kernel gives to outgoing connections: a server that was killed finds its own free.
_PORTS = range(10_000, 32_768)
_CHANCE = random.SystemRandom()
#: Ends the process when the one that started it is killed (PR_SET_PDEATHSIG, SIGKILL).
LEASH = "import ctypes; ctypes.CDLL(None).prctl(1, 9)\n"
RUN = LEASH + "import os, sys; os.execvp(sys.argv[1], sys.argv[1:])"


class DemoError(Exception):
    """What went wrong, for the person who started the demo."""


def free_ports(count: int) -> list[int]:
    """All at once, so that they differ. Another process may take one before the server does: then it dies
    and says so in its log."""
    ports = list[int]()
    with ExitStack() as stack:
        while len(ports) < count:
            probe, port = stack.enter_context(socket.socket()), _CHANCE.choice(_PORTS)
            with suppress(OSError):  # it is taken
                probe.bind((HOST, port))
                ports.append(port)
    return ports


class Process:
    """`name`: for people. Without `environment` it has that of the demo."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._name, self._log = name, log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", RUN, *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,  # Ctrl-C is for the demo, which then asks the others to end
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    def until(self, ready: Callable[[], bool]) -> None:
        """Raises DemoError when it does not come up."""
        end = time.monotonic() + START_WITHIN
        while not ready():
            self.must_live()
            if time.monotonic() > end:
                raise DemoError(f"{self._name} was not ready after {START_WITHIN:.0f} s{self.last_words()}")
            time.sleep(0.05)

    def must_live(self) -> None:
        if self._process.poll() is not None:
            raise DemoError(f"{self._name} ended by itself{self.last_words()}")

    def stop(self, within: float) -> int:
        """SIGTERM, later SIGKILL; the exit code."""
        self._process.terminate()
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> int:
        self._process.kill()
        return self._process.wait()

    def last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LAST_WORDS:]
        return "\n".join(["; its last words:", *lines]) if lines else "; it said nothing"
