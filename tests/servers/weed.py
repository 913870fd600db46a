"""SeaweedFS: S3 with and without object lock, and its filer with a tus endpoint, from one program.

Two identities: the station's, with no more rights than it needs, and an administrator's.
"""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

import requests

from scripts import weed
from scripts.weed import Identity as Identity
from tests.servers.pki import Pki
from tests.servers.process import HOST, Server

PLAIN, LOCKED = "clips", "locked"  # buckets
STATION = Identity("station", "not-a-secret-1")
ADMIN = Identity("admin", "not-a-secret-2")


class Weed(Server):
    """With `pki` S3 is at `tls_url`, too, for clients with a certificate of that authority."""

    def __init__(self, folder: Path, pki: Pki | None = None) -> None:
        super().__init__(folder, ports=9)
        self.pki = pki
        self.data = folder / "data"
        self.data.mkdir(exist_ok=True)
        self.environment = weed.ENVIRONMENT
        may = weed.station_actions(PLAIN, locked=False) + weed.station_actions(LOCKED, locked=True)
        weed.write_identities(folder / "s3.json", [(STATION, may), (ADMIN, ["Admin"])])

    @property
    def _at(self) -> weed.Ports:
        return weed.Ports(*self.ports[:8])

    @property
    def url(self) -> str:
        """S3."""
        return f"http://{HOST}:{self._at.s3}"

    @property
    def tls_url(self) -> str:
        assert self.pki
        return f"https://{HOST}:{self.ports[8]}"

    @property
    def filer(self) -> str:
        """Where all that is stored can be read, changed and deleted, by anybody."""
        return f"http://{HOST}:{self._at.filer}"

    def tus(self, key: str, bucket: str = PLAIN) -> str:
        """Where an upload of `key` is created."""
        return f"{self.filer}/.tus/buckets/{bucket}/{quote(key)}"

    def object(self, key: str, bucket: str = PLAIN) -> str:
        """The stored object itself."""
        return f"{self.filer}/buckets/{bucket}/{quote(key)}"

    def command(self) -> Sequence[str | Path]:
        tls = [
            f"-s3.port.https={self.ports[8]}",
            f"-s3.cert.file={self.pki.server.certificate}",
            f"-s3.key.file={self.pki.server.key}",
            f"-s3.cacert.file={self.pki.authority.certificate}",
            "-s3.tlsVerifyClientCert=true",
        ] if self.pki else []  # fmt: skip
        return [*weed.command(self.data, self.folder, self.folder / "s3.json", self._at), *tls]

    def answers(self) -> bool:
        return weed.answers(self._at)

    def prepare(self) -> None:
        self.shell(
            f"s3.bucket.create -name {PLAIN}",
            f"s3.bucket.create -name {LOCKED}",
            f"s3.bucket.lock -name {LOCKED} -enable",
        )

    def forget(self, bucket: str) -> None:
        """With its volumes, of which a disk has room for so many only."""
        gone = requests.delete(f"{self.filer}/buckets/{bucket}", params={"recursive": "true"}, timeout=60)
        assert gone.status_code == 204, gone

    def stop(self) -> None:
        """By force: left to itself it waits 15 s for one of its parts to leave another."""
        self.kill()
        weed.clear(self._at)

    def shell(self, *lines: str) -> str:
        """What its administration says to commands."""
        ran = subprocess.run(
            [weed.WEED, "shell", f"-master={HOST}:{self._at.master}.{self._at.master_grpc}"],
            input="\n".join(lines) + "\n",
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return ran.stdout
