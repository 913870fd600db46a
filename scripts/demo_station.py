"""A station of its own for the demo: its folders, its configuration, the running agent, and a judge who
trusts nothing that the agent says."""

import hashlib
import json
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from agent.status.shape import StatusShape
from scripts.demo_rack import FOLDER

START_WITHIN = 60.0  # seconds
STOP_WITHIN = 20.0
ANSWER_WITHIN = 10.0
LAST_WORDS = 15  # lines of the agent's log


class DemoError(Exception):
    """What went wrong, for the person who started the demo."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What lies at the centre, found by reading both sides."""

    clips: int
    bytes: int
    confirmed: int  # clips that lie at the centre exactly once, byte for byte


class Station:
    def __init__(self, folder: Path) -> None:
        self.rack = folder / "rack"
        self.shelf = folder / "shelf"  # where recorders are that are not docked
        self.centre = folder / "centre"
        self._folder = folder
        self._log = folder / "agent.log"
        self._agent: subprocess.Popen[bytes] | None = None
        self.url = f"http://127.0.0.1:{_free_port()}"
        for path in (self.rack, self.shelf, self.centre):
            path.mkdir()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Raises DemoError when the agent does not come up, or does not end well."""
        with tempfile.TemporaryDirectory(prefix="recorder-station-") as run, self._log.open("wb") as log:
            config = self._folder / "station.yaml"
            config.write_text(yaml.safe_dump(self._config(Path(run)), allow_unicode=True))
            command = Path(sys.executable).with_name("recorder-station")
            self._agent = subprocess.Popen(
                [command, "run", "--config", config],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the demo, which then asks the agent to end
            )
            try:
                self._wait_until_ready()
                yield
            finally:
                code = self._stop()
            if code != 0:
                raise DemoError(f"the agent ended with {code}{self._last_words()}")

    def status(self) -> StatusShape:
        """Raises DemoError when the agent is gone or does not answer."""
        self._must_live()
        try:
            with urllib.request.urlopen(f"{self.url}/status", timeout=ANSWER_WITHIN) as answer:
                return cast(StatusShape, json.load(answer))
        except OSError as e:
            raise DemoError(f"the agent does not answer: {e}{self._last_words()}") from e

    def dock(self, slot: str) -> None:
        (self.shelf / slot).rename(self.rack / slot)

    def pull(self, slot: str) -> None:
        (self.rack / slot).rename(self.shelf / slot)

    def verdict(self) -> Verdict:
        """Reads every clip of every recorder, and everything at the centre but the manifests."""
        recorders = (recorder for place in (self.rack, self.shelf) for recorder in place.iterdir())
        clips = [clip for recorder in recorders for clip in (recorder / FOLDER).iterdir()]
        there = Counter(_digest(file) for file in self.centre.rglob("*") if _is_clip(file))
        return Verdict(
            clips=len(clips),
            bytes=sum(clip.stat().st_size for clip in clips),
            confirmed=sum(there[_digest(clip)] == 1 for clip in clips),
        )

    def _config(self, run: Path) -> dict[str, object]:
        return {
            "station": {"name": "demo"},
            "store": {"path": str(self._folder / "store")},
            "dock": {"udev": False, "simulated_rack": str(self.rack), "mounts": str(run / "mounts")},
            "targets": {"centre": {"kind": "folder", "path": str(self.centre), "local": True}},
            "web": {"listen": self.url.removeprefix("http://"), "socket": str(run / "agent.sock")},
        }

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_WITHIN
        while time.monotonic() < end:
            self._must_live()
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=ANSWER_WITHIN).close()
            except (urllib.error.URLError, TimeoutError):  # not listening yet, or 503: not ready yet
                time.sleep(0.1)
            else:
                return
        raise DemoError(f"the agent was not ready after {START_WITHIN:.0f} s{self._last_words()}")

    def _must_live(self) -> None:
        if self._agent is None or self._agent.poll() is not None:
            raise DemoError(f"the agent ended by itself{self._last_words()}")

    def _stop(self) -> int:
        assert self._agent is not None
        self._agent.terminate()
        try:
            return self._agent.wait(STOP_WITHIN)
        except subprocess.TimeoutExpired:
            self._agent.kill()
            return self._agent.wait()

    def _last_words(self) -> str:
        lines = self._log.read_text(errors="replace").splitlines()[-LAST_WORDS:]
        return "\n".join(["; its last words:", *lines]) if lines else "; it said nothing"


def _is_clip(file: Path) -> bool:
    return file.is_file() and file.suffix != ".json" and not file.name.startswith(".")


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
