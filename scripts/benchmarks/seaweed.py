"""The centre of all contestants: SeaweedFS in one process, on free ports of this machine alone."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path

import requests

from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.sign import Credentials
from scripts.benchmarks.measure import BenchError

HOST = "127.0.0.1"
KEYS = Credentials("bench", "not-a-secret")
_PATIENCE = 60.0  # seconds
_STEP = 0.02
_PORTS = 8
_GRPC = {"s3": 1, "filer": 3, "master": 5, "volume": 7}  # part → number of its port


class Seaweed:
    """As a context manager, with its data below `folder`. Made for speed, not for safety: it brings nothing
    to the disk by itself."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ports = _free_ports()
        self._numbers = count(1)
        self._log = folder / "server.log"
        self._server: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self._ports[0]}"

    @property
    def pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def __enter__(self) -> "Seaweed":
        (self.folder / "data").mkdir()
        keys = [{"accessKey": KEYS.key, "secretKey": KEYS.secret}]
        everything = {"identities": [{"name": "bench", "credentials": keys, "actions": ["Admin"]}]}
        (self.folder / "s3.json").write_text(json.dumps(everything))
        environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
        with self._log.open("ab") as log:
            self._server = subprocess.Popen(
                self._command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**environment, "GOMEMLIMIT": "400MiB"},
            )
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._server is not None:
            self._server.kill()  # left to itself it waits for one of its parts to leave another
            self._server.wait()
        for part, number in _GRPC.items():  # it leaves them, killed or not
            Path(f"/tmp/seaweedfs-{part}-grpc-{self._ports[number]}.sock").unlink(missing_ok=True)

    def bucket(self, name: str) -> Bucket:
        return Bucket(Wire(Line()), self.url, name, lambda: KEYS)

    @contextmanager
    def empty_bucket(self) -> Iterator[str]:
        """A bucket of its own, which has its volumes already: nobody pays for those of everybody."""
        name = f"bench-{next(self._numbers)}"
        wire, where = Wire(Line()), f"{self._filer}/buckets/{name}"
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
        asked = f"{self._filer}/buckets/{bucket}/{folder}/?limit=100000"
        answer = Wire(Line()).ask("GET", asked, {"Accept": "application/json"})
        _expect(answer.status, 200)
        entries = json.loads(answer.body)["Entries"] or []
        return [entry["FileSize"] for entry in entries if not entry["FullPath"].endswith(".json")]

    @property
    def _filer(self) -> str:
        return f"http://{HOST}:{self._ports[2]}"

    def _command(self) -> list[str]:
        weed = Path(sys.executable).with_name("weed")
        program = str(weed) if weed.exists() else shutil.which("weed")
        if program is None:
            raise BenchError("no SeaweedFS here: scripts/setup --dev brings it")
        s3, s3_grpc, filer, filer_grpc, master, master_grpc, volume, volume_grpc = self._ports
        return [
            *(program, "-logtostderr", "server", f"-dir={self.folder / 'data'}"),
            *(f"-ip={HOST}", f"-ip.bind={HOST}"),
            *(f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.telemetry=false"),
            *("-master.peers=none", "-master.volumeSizeLimitMB=1024"),
            *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=0"),
            *("-volume.index=leveldb", "-volume.preStopSeconds=0"),
            *("-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}"),
            f"-filer.localSocket={self.folder / 'f'}",
            *("-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.localSocket={self.folder / 's'}"),
            *(f"-s3.config={self.folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
        ]

    def _wait(self) -> None:
        assert self._server is not None
        end = time.monotonic() + _PATIENCE
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > end:
                raise BenchError(f"SeaweedFS does not answer: {self._log.read_text()[-2000:]}")
            time.sleep(_STEP)

    def _answers(self) -> bool:
        with requests.Session() as session:
            session.trust_env = False
            try:
                s3 = session.get(f"{self.url}/healthz", timeout=5)
                filer = session.get(f"{self._filer}/healthz", timeout=5)
                disks = session.get(f"http://{HOST}:{self._ports[4]}/dir/status", timeout=5).json()
            except requests.RequestException:
                return False
        return s3.ok and filer.ok and bool(disks["Topology"]["Max"])


def _free_ports() -> list[int]:
    """All at once, so that they differ."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(_PORTS)]
        for probe in probes:
            probe.bind((HOST, 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _expect(status: int, wanted: int) -> None:
    if status != wanted:
        raise BenchError(f"the filer answers {status}, not {wanted}")
