"""A whole station as systemd would start it, with a simulated rack."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import yaml

from agent.cli.client import Client, UnixConnection
from agent.errors import Stop
from agent.status.shape import StatusShape
from scripts.benchmarks.measure import BenchError
from scripts.demo_process import HOST, free_ports

PATIENCE = 300.0  # seconds, for anything
WATCHDOG = 120  # seconds, as in systemd/recorder-station.service
_STOP_WITHIN = 30.0
_POLL = 0.005


class Station:
    """As a context manager: whatever happens, the agent does not survive it. Everything but its sockets
    lies below `folder`; recorders that are not docked stand on `shelf`."""

    def __init__(self, folder: Path, centre: bool = False, lan: bool = False) -> None:
        """`centre`: with a target. Without any, clips stay where they are stored. `lan`: browsers may
        come, by TLS."""
        self.rack, self.shelf, self.store = folder / "rack", folder / "shelf", folder / "store"
        for made in (self.rack, self.shelf, self.store):
            made.mkdir(exist_ok=True)
        self._centre = folder / "centre" if centre else None
        if self._centre is not None:
            self._centre.mkdir(exist_ok=True)
        self._config = folder / "station.yaml"
        self._log = folder / "agent.log"
        self._run = Path(tempfile.mkdtemp(prefix="bench-"))  # a socket's path must be short
        self._client = Client(self._run / "agent.sock")
        self._port, lan_port = free_ports(2)
        self.address, self.lan_address = f"http://{HOST}:{self._port}/", f"https://{HOST}:{lan_port}/"
        self._lan = {"lan": f"{HOST}:{lan_port}", **_certificate(folder)} if lan else {}
        self._agent: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Station":
        self._config.write_text(yaml.safe_dump(self._settings()))
        return self

    def __exit__(self, *_: object) -> None:
        if self._agent is not None and self._agent.poll() is None:
            self.kill()
        shutil.rmtree(self._run)

    @property
    def pid(self) -> int:
        assert self._agent is not None
        return self._agent.pid

    def start(self) -> float:
        """Seconds from the start of the process to READY, as systemd would hear it."""
        notify = self._run / "notify.sock"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as door, self._log.open("ab") as log:
            door.bind(str(notify))
            door.settimeout(PATIENCE)
            environment = {**os.environ, "NOTIFY_SOCKET": str(notify), "WATCHDOG_USEC": f"{WATCHDOG}000000"}
            agent = str(Path(sys.executable).with_name("recorder-station"))
            command = [agent, "run", "--config", str(self._config)]
            began = time.perf_counter()
            self._agent = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
            while b"READY=1" not in door.recv(4096):
                pass
            ready = time.perf_counter() - began
        notify.unlink()
        return ready

    def stop(self) -> float:
        """Seconds that a clean stop takes."""
        assert self._agent is not None
        began = time.perf_counter()
        self._agent.send_signal(signal.SIGTERM)
        if (code := self._agent.wait(_STOP_WITHIN)) != 0:
            raise BenchError(f"the agent ended with {code}")
        return time.perf_counter() - began

    def kill(self) -> None:
        assert self._agent is not None
        self._agent.kill()
        self._agent.wait()

    def screen(self) -> http.client.HTTPConnection:
        """As from the screen at the rack."""
        return http.client.HTTPConnection(HOST, self._port, timeout=PATIENCE)

    def local(self) -> http.client.HTTPConnection:
        """As from somebody at the station, who may see everything."""
        return UnixConnection(self._run / "agent.sock")

    def status(self) -> StatusShape:
        return cast(StatusShape, self._client.get("/status"))

    def wait_for(self, seen: Callable[[StatusShape], bool], every: float = _POLL) -> StatusShape:
        """Look until it is seen; the pause between two looks bounds how exact a time can be."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with suppress(Stop):  # not listening yet
                if seen(status := self.status()):
                    return status
            if self._agent is None or self._agent.poll() is not None:
                raise BenchError(f"the agent ended by itself: {self._log.read_text()[-2000:]}")
            time.sleep(every)
        raise BenchError(f"waited {PATIENCE:.0f} s in vain: {self._log.read_text()[-2000:]}")

    def account(self, name: str, role: str, password: str) -> None:
        """One more that may log in."""
        self._client.post("/commands/account-set", {"name": name, "role": role, "units": "", "officer": ""})
        self._client.post("/commands/account-password", {"name": name, "password": password})

    def dock(self, slot: str) -> None:
        (self.shelf / slot).rename(self.rack / slot)

    def pull(self, slot: str) -> None:
        (self.rack / slot).rename(self.shelf / slot)

    def _settings(self) -> dict[str, object]:
        centre = (
            {"centre": {"kind": "folder", "path": str(self._centre), "local": True}} if self._centre else None
        )
        return {
            "store": {"path": str(self.store)},
            "dock": {"udev": False, "simulated_rack": str(self.rack), "mounts": str(self._run / "mounts")},
            "targets": centre,
            "web": {"listen": f"{HOST}:{self._port}", "socket": str(self._run / "agent.sock"), **self._lan},
        }


def _certificate(folder: Path) -> dict[str, str]:
    """Its own authority, with its key."""
    made = {"certificate": str(folder / "station.crt"), "certificate_key": str(folder / "station.key")}
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", made["certificate_key"], "-out", made["certificate"], "-days", "2"]
    command += ["-subj", "/CN=station", "-addext", f"subjectAltName=IP:{HOST}"]
    subprocess.run(command, check=True, capture_output=True)
    return made


def state_of(status: StatusShape, slot: str) -> str:
    return next((shown["state"] for shown in status["slots"] if shown["slot"] == slot), "empty")
