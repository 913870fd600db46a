"""The real agent as a process: on folders of its own, looked at over its socket as the commands do,
stopped or killed by the pid that was started here. Nothing of it outlives the `with` block, nor the tests.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

import yaml

from agent.cli.client import Client, NoAgent
from agent.status.shape import SlotShape, StatusShape
from scripts.demo_process import LEASH
from scripts.demo_rack import make_recorder

T = TypeVar("T")

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0  # seconds until a test gives up waiting; never the time that something should take
_STEP = 0.03
_LAST_WORDS = 30  # lines of the agent's log

MAIN = "from agent.cli import main; main()\n"
#: A patch: an agent that waits a second where others wait minutes, and soon asks again for what is confirmed.
IMPATIENT = """
from agent.upload import breaker, scheduler
from agent.upload.retry import Backoff
from agent.upload.targets import http
http.Wire.__init__.__defaults__ = ((2.0, 2.0), 30.0, *http.Wire.__init__.__defaults__[2:])
breaker.AUTH_PROBE, breaker.OPEN = 0.5, Backoff(0.1, cap=0.5, patience=1.0)
make = scheduler.Uploads.__init__
def impatient(self, *args, **named):
    make(self, *args, **{**named, "reconfirm": 5.0, "backoff": Backoff(0.1, cap=0.5, patience=1.0)})
scheduler.Uploads.__init__ = impatient
"""


class AgentEnded(AssertionError):
    """By itself, while it was looked at."""


class Agent:
    """`sections` are laid over the configuration below, section by section. `patch`: Python that is run
    in the process before its main program, to make an agent that is broken on purpose; it may be changed
    between two starts."""

    def __init__(self, folder: Path, patch: str = "", **sections: Mapping[str, Any]) -> None:
        self.rack, self.store, self.centre = folder / "rack", folder / "store", folder / "centre"
        self.shelf = folder / "shelf"  # where recorders are that are not docked
        self.config_file = folder / "station.yaml"
        self.log = folder / "agent.log"
        self.environment: dict[str, str] = {}
        self.wrapper: Sequence[str] = ()  # a command that runs the agent by exec
        self.patch = patch
        self._process: subprocess.Popen[bytes] | None = None
        for path in (self.rack, self.centre, self.shelf):
            path.mkdir()
        self.config: dict[str, Any] = {
            "station": {"name": "test", "language": "en"},
            "store": {"path": str(self.store), "reserve": "1 MiB"},
            "dock": {"udev": False, "simulated_rack": str(self.rack), "mounts": str(folder / "mounts")},
            "targets": {"centre": {"kind": "folder", "path": str(self.centre), "local": True}},
            "web": {"listen": "127.0.0.1:0", "socket": str(folder / "agent.sock")},
        }
        for name, section in sections.items():
            self.config.setdefault(name, {}).update(section)
        self.write_config()

    def write_config(self, text: str | None = None) -> None:
        """As an editor does: whole, under another name, then renamed."""
        aside = self.config_file.with_suffix(".new")
        aside.write_text(yaml.safe_dump(self.config) if text is None else text)
        aside.rename(self.config_file)

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    # the process

    @property
    def pid(self) -> int:
        assert self._process is not None, "the agent was not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def command(self, *arguments: str) -> list[str]:
        """`recorder-station …` with this agent's configuration."""
        python = [sys.executable, "-P", "-W", "ignore", "-c", LEASH + self.patch + MAIN]
        return [*self.wrapper, *python, *arguments, "--config", str(self.config_file)]

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """A command beside the agent."""
        return subprocess.run(
            self.command(*arguments),
            env=self._environment(),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def start(self) -> None:
        """Returns as soon as there is a process."""
        assert not self.alive
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command("run"), env=self._environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )

    def up(self) -> "Agent":
        """Start it and wait until it is ready."""
        self.start()
        self.until(lambda status: status["ready"])
        return self

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """As kill -9 and a power cut do: at whatever line it is."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Returns when no thread of it runs any more."""
        self.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def stop(self, within: float = PATIENCE) -> int:
        """SIGTERM; returns the exit code."""
        assert self._process is not None
        self._process.terminate()
        return self.wait(within)

    def wait(self, within: float = PATIENCE) -> int:
        """For its end; returns the exit code, -9 when it was killed."""
        assert self._process is not None
        try:
            return self._process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the agent did not end within {within:.0f} s{self.last_words()}") from None

    # what it says

    def status(self) -> StatusShape | None:
        """None while it does not listen (yet)."""
        if not self.alive:
            raise AgentEnded(self.last_words())
        try:
            return cast(StatusShape, self._client().get("/status"))
        except NoAgent:
            return None

    def clips(self, after: int = 0) -> list[dict[str, Any]]:
        """Every clip with an id above `after`."""
        client, rows = self._client(), list[dict[str, Any]]()
        while page := client.get("/clips", {"after": rows[-1]["id"] if rows else after, "limit": 1000}):
            rows += page
        return rows

    def until(self, condition: Callable[[StatusShape], T], within: float = PATIENCE) -> T:
        """What `condition` says of the status, once that is true."""
        end, status = time.monotonic() + within, None
        while True:
            if (status := self.status() or status) is not None and (found := condition(status)):
                return found
            assert time.monotonic() < end, f"waited in vain; status: {status}{self.last_words()}"
            time.sleep(_STEP)

    def until_slot(self, name: str, *states: str) -> SlotShape:
        def there(status: StatusShape) -> SlotShape | None:
            found = slot(status, name)
            return found if found and found["state"] in states else None

        shown = self.until(there)
        assert shown is not None
        return shown

    def until_confirmed(self, clips: int) -> None:
        """So many clips, and nothing on its way."""
        self.until(lambda status: status["clips"]["confirmed"] == clips and status["queue"]["clips"] == 0)

    def until_issue(self, key: str) -> dict[str, Any]:
        """The parameters of a health issue, once it stands."""

        def stands(status: StatusShape) -> list[dict[str, Any]]:
            return [issue["params"] for issue in status["health"] if issue["key"] == key]

        return self.until(stands)[0]

    def last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(["; its last words:", *lines[-_LAST_WORDS:]])

    # recorders

    def recorder(self, number: str, *, clips: int = 6, size: int = 300_000, letters: str = "") -> list[Path]:
        """A recorder on the shelf; returns its files, relative to it. Every file has the faults of
        `letters`."""
        path = self.shelf / number
        files = make_recorder(path, number=number, clips=clips, size=size)
        if letters:
            order_faults(path, files, letters)
        return files

    def dock(self, name: str, slot: str = "") -> None:
        """From the shelf."""
        (self.shelf / name).rename(self.rack / (slot or name))

    def pull(self, slot: str, name: str = "") -> None:
        (self.rack / slot).rename(self.shelf / (name or slot))

    def _client(self) -> Client:
        return Client(Path(self.config["web"]["socket"]))

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return {**kept, "PYTHONPATH": str(ROOT), "LANG": "C.UTF-8", **self.environment}


def order_faults(recorder: Path, files: Sequence[Path], letters: str, block: int = 512 << 10) -> None:
    """See `drivers.faults`. `R` makes a slow file: some 10 MiB a second at most."""
    faults = {"block": block, "files": {str(file): letters for file in files}}
    (recorder / ".faults.yaml").write_text(yaml.safe_dump(faults))


def slot(status: StatusShape, name: str) -> SlotShape | None:
    return next((one for one in status["slots"] if one["slot"] == name), None)


class Systemd:
    """The receiving end of the notify protocol. It reads all the time, as systemd does: the queue of such
    a socket is short, and a sender waits when it is full."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(self.path))
        self._changed = threading.Condition()
        self._heard: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)

    def environment(self, watchdog: float) -> dict[str, str]:
        return {"NOTIFY_SOCKET": str(self.path), "WATCHDOG_USEC": str(int(watchdog * 1e6))}

    def __enter__(self) -> "Systemd":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", str(self.path))
        self._thread.join(PATIENCE)
        self._socket.close()

    def heard(self) -> list[str]:
        with self._changed:
            return list(self._heard)

    def until(self, message: str, after: int = 0, times: int = 1) -> list[str]:
        """Everything heard, once `message` was heard so often since the first `after` messages."""
        with self._changed:
            there = self._changed.wait_for(lambda: self._heard[after:].count(message) >= times, PATIENCE)
            assert there, f"{message} was not heard in {self._heard}"
            return list(self._heard)

    def _listen(self) -> None:
        while message := self._socket.recv(4096):
            with self._changed:
                self._heard += message.decode().splitlines()
                self._changed.notify_all()
