"""A station of its own for the demo: its folders, its configuration, the running agent, and a judge who
trusts nothing that the agent says."""

import json
import sys
import tempfile
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from agent.dock.slots import RACK
from agent.status.shape import StatusShape
from scripts.demo_centre import Centre, digest
from scripts.demo_process import HOST, DemoError, Process, free_ports
from scripts.demo_rack import FOLDER

STOP_WITHIN = 20.0  # seconds
ANSWER_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What lies at the centre, found by reading both sides."""

    clips: int
    bytes: int
    confirmed: int  # clips that lie at the centre exactly once, byte for byte


class Station:
    def __init__(self, folder: Path, centre: Centre, slots: Sequence[str] = ()) -> None:
        """`slots`: of its cabinet."""
        self.rack = folder / "rack"
        self.shelf = folder / "shelf"  # where recorders are that are not docked
        self._centre, self._slots = centre, slots
        self._folder = folder
        self._agent: Process | None = None
        (port,) = free_ports(1)
        self.url = f"http://{HOST}:{port}"
        for path in (self.rack, self.shelf):
            path.mkdir()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Raises DemoError when the agent does not come up, or does not end well."""
        with tempfile.TemporaryDirectory(prefix="recorder-station-") as run:
            config = self._folder / "station.yaml"
            config.write_text(yaml.safe_dump(self._config(Path(run)), allow_unicode=True))
            command = Path(sys.executable).with_name("recorder-station")
            self._agent = Process(
                "the agent", [command, "run", "--config", config], self._folder / "agent.log"
            )
            try:
                self._agent.until(self._is_ready)
                yield
            finally:
                code = self._agent.stop(STOP_WITHIN)
            if code != 0:
                raise DemoError(f"the agent ended with {code}{self._agent.last_words()}")

    def status(self) -> StatusShape:
        """Raises DemoError when the agent is gone or does not answer."""
        assert self._agent is not None
        self._agent.must_live()
        try:
            with urllib.request.urlopen(f"{self.url}/status", timeout=ANSWER_WITHIN) as answer:
                return cast(StatusShape, json.load(answer))
        except OSError as e:
            raise DemoError(f"the agent does not answer: {e}{self._agent.last_words()}") from e

    def dock(self, slot: str) -> None:
        (self.shelf / slot).rename(self.rack / slot)

    def pull(self, slot: str) -> None:
        (self.rack / slot).rename(self.shelf / slot)

    def verdict(self) -> Verdict:
        """Reads every clip of every recorder, and everything at the centre but the manifests."""
        recorders = (recorder for place in (self.rack, self.shelf) for recorder in place.iterdir())
        clips = [clip for recorder in recorders for clip in (recorder / FOLDER).iterdir()]
        there = Counter(self._centre.digests())
        return Verdict(
            clips=len(clips),
            bytes=sum(clip.stat().st_size for clip in clips),
            confirmed=sum(there[digest(clip)] == 1 for clip in clips),
        )

    def _config(self, run: Path) -> dict[str, object]:
        return {
            "station": {"name": "demo"},
            "store": {"path": str(self._folder / "store")},
            "dock": {
                "udev": False,
                "simulated_rack": str(self.rack),
                "mounts": str(run / "mounts"),
                "slots": {slot: {"port": f"{RACK}{slot}"} for slot in self._slots},
            },
            "targets": {"centre": dict(self._centre.config)},
            "web": {"listen": self.url.removeprefix("http://"), "socket": str(run / "agent.sock")},
        }

    def _is_ready(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/readyz", timeout=ANSWER_WITHIN).close()
        except (urllib.error.URLError, TimeoutError):  # not listening yet, or 503: not ready yet
            return False
        return True
