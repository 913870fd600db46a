"""The centre of all contestants: SeaweedFS in one process, on free ports of this machine alone."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.sign import Credentials
from scripts import weed
from scripts.benchmarks.measure import BenchError
from scripts.demo_process import HOST, DemoError, Process, free_ports

KEYS = Credentials("bench", "not-a-secret")
_LARGE_VOLUMES = "-master.volumeSizeLimitMB=1024"  # the demo's small ones would have to grow all the time


class Seaweed:
    """One that runs. Nothing that it takes is brought to the disk by itself."""

    def __init__(self, ports: weed.Ports, process: Process) -> None:
        self._process, self._numbers = process, count(1)
        self.url = f"http://{HOST}:{ports.s3}"
        self.filer = f"http://{HOST}:{ports.filer}"

    @property
    def pid(self) -> int:
        return self._process.pid

    def bucket(self, name: str) -> Bucket:
        return Bucket(Wire(Line()), self.url, name, lambda: KEYS)

    @contextmanager
    def empty_bucket(self) -> Iterator[str]:
        """A bucket of its own, which has its volumes already: the first who comes does not pay for them."""
        name = f"bench-{next(self._numbers)}"
        wire, where = Wire(Line()), f"{self.filer}/buckets/{name}"
        _expect(wire.ask("POST", f"{where}/", {}).status, 201)
        _expect(wire.ask("PUT", f"{where}/warm", {}, bytes(1024)).status, 201)
        _expect(wire.ask("DELETE", f"{where}/warm", {}).status, 204)
        try:
            yield name
        finally:
            # With its volumes, of which the disk has room for so many only.
            _expect(wire.ask("DELETE", f"{where}?recursive=true", {}).status, 204)

    def sizes(self, bucket: str, folder: str) -> list[int]:
        """In bytes, of all clips in this folder."""
        asked = f"{self.filer}/buckets/{bucket}/{folder}/?limit=100000"
        answer = Wire(Line()).ask("GET", asked, {"Accept": "application/json"})
        _expect(answer.status, 200)
        entries = json.loads(answer.body)["Entries"] or []
        return [entry["FileSize"] for entry in entries if not entry["FullPath"].endswith(".json")]


@contextmanager
def running(folder: Path) -> Iterator[Seaweed]:
    """With its data below `folder`, which is empty."""
    data, identities = folder / "data", folder / "identities.json"
    data.mkdir()
    weed.write_identities(identities, [(weed.Identity(KEYS.key, KEYS.secret), ["Admin"])])
    ports = weed.Ports(*free_ports(len(weed.Ports._fields)))
    with TemporaryDirectory(prefix="bench-") as sockets:
        command = [*weed.command(data, Path(sockets), identities, ports), _LARGE_VOLUMES]
        try:
            process = Process("SeaweedFS", command, folder / "server.log", weed.ENVIRONMENT)
        except OSError as error:
            raise BenchError(f"SeaweedFS does not start: {error}") from error
        try:
            process.until(lambda: weed.answers(ports))
            yield Seaweed(ports, process)
        except DemoError as error:
            raise BenchError(str(error)) from error
        finally:
            process.kill()
            weed.clear(ports)


def _expect(status: int, wanted: int) -> None:
    if status != wanted:
        raise BenchError(f"the filer answers {status}, not {wanted}")
