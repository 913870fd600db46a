"""A server as a process of the tests: on free ports of this machine alone, with its data in a given folder.

It can be killed and started again on the same data and ports; nothing of it outlives the tests.
"""

import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

import requests

from scripts.demo_process import HOST as HOST
from scripts.demo_process import RUN, free_ports

PATIENCE = 60.0  # seconds until a test gives up waiting; never the time that something should take
_STEP = 0.02
_LAST_WORDS = 30  # lines of the server's log


class ServerEnded(AssertionError):
    """By itself, while it was waited for."""


class Server(ABC):
    """`with` starts and stops it; `kill` and `start` in between are a power cut and what comes after."""

    environment: Mapping[str, str] | None = None  # None: that of the tests
    tries = 3  # with other ports, when it cannot start the first time

    def __init__(self, folder: Path, ports: int) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        self.ports = free_ports(ports)
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def command(self) -> Sequence[str | Path]: ...

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves; `requests.RequestException` says that it does not yet."""

    def prepare(self) -> None:  # noqa: B027 - most need nothing
        """What it needs once, when it runs for the first time."""

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server was not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Returns when it answers."""
        assert not self.alive
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", RUN, *self.command()],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + PATIENCE
        while not self._answers():
            if not self.alive or time.monotonic() > deadline:
                self.kill()
                raise ServerEnded(f"{type(self).__name__} does not answer:\n{self.last_words()}")
            time.sleep(_STEP)
        return self

    def _answers(self) -> bool:
        try:
            return self.alive and self.answers()
        except requests.RequestException:
            return False

    def last_words(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_WORDS:])

    def stop(self) -> None:
        """As an administrator does; killed when it does not listen."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """With no time to write anything."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Self:
        for left in reversed(range(self.tries)):
            try:
                self.start()
                break
            except ServerEnded:
                if not left:
                    raise
                self.ports = free_ports(len(self.ports))
        try:
            self.prepare()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def get(url: str) -> requests.Response:
    """Without what the environment says of proxies; ends soon."""
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, timeout=5)
