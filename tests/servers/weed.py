"""SeaweedFS: S3 with and without object lock, and its filer with a tus endpoint, from one program.

Two identities: the station's, with no more rights than it needs, and an administrator's.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import requests

from tests.servers.pki import Pki
from tests.servers.process import HOST, Server, get

WEED = Path(sys.executable).with_name("weed")
PLAIN, LOCKED = "clips", "locked"  # buckets


#: Without these it may not even write an object that is locked from its first moment on.
LOCKING = (
    "PutObjectRetention",
    "PutObjectLegalHold",
    "GetObjectRetention",
    "GetObjectLegalHold",
    "GetBucketObjectLockConfiguration",
)


@dataclass(frozen=True, slots=True)
class Identity:
    access: str
    secret: str


STATION = Identity("station", "not-a-secret-1")
ADMIN = Identity("admin", "not-a-secret-2")


class Weed(Server):
    """With `pki` S3 is at `tls_url`, too, for clients with a certificate of that authority."""

    def __init__(self, folder: Path, pki: Pki | None = None) -> None:
        super().__init__(folder, ports=9)
        self.pki = pki
        self.data = folder / "data"
        self.data.mkdir(exist_ok=True)
        # Its memory is bounded, and no account that the one who runs the tests has elsewhere gets in.
        self.environment = {k: v for k, v in os.environ.items() if not k.startswith("AWS_")}
        self.environment["GOMEMLIMIT"] = "400MiB"
        actions = [f"{may}:{bucket}" for bucket in (PLAIN, LOCKED) for may in ("Read", "List", "Write")]
        actions += [f"{may}:{LOCKED}" for may in LOCKING]
        (folder / "s3.json").write_text(
            json.dumps({"identities": [_identity(STATION, actions), _identity(ADMIN, ["Admin"])]})
        )

    @property
    def url(self) -> str:
        """S3."""
        return f"http://{HOST}:{self.ports[0]}"

    @property
    def tls_url(self) -> str:
        assert self.pki
        return f"https://{HOST}:{self.ports[8]}"

    @property
    def filer(self) -> str:
        """Where all that is stored can be read, changed and deleted, by anybody."""
        return f"http://{HOST}:{self.ports[2]}"

    def tus(self, key: str, bucket: str = PLAIN) -> str:
        """Where an upload of `key` is created."""
        return f"{self.filer}/.tus/buckets/{bucket}/{quote(key)}"

    def object(self, key: str, bucket: str = PLAIN) -> str:
        """The stored object itself."""
        return f"{self.filer}/buckets/{bucket}/{quote(key)}"

    def command(self) -> Sequence[str | Path]:
        s3, s3_grpc, filer, filer_grpc, master, master_grpc, volume, volume_grpc, https = self.ports
        tls = [
            f"-s3.port.https={https}",
            f"-s3.cert.file={self.pki.server.certificate}",
            f"-s3.key.file={self.pki.server.key}",
            f"-s3.cacert.file={self.pki.authority.certificate}",
            "-s3.tlsVerifyClientCert=true",
        ] if self.pki else []  # fmt: skip
        return [
            *(WEED, "-logtostderr", "server", f"-dir={self.data}", f"-ip={HOST}", f"-ip.bind={HOST}"),
            *(f"-master.port={master}", f"-master.port.grpc={master_grpc}", "-master.telemetry=false"),
            *("-master.peers=none", "-master.volumeSizeLimitMB=64"),
            *(f"-volume.port={volume}", f"-volume.port.grpc={volume_grpc}", "-volume.max=0"),
            *("-volume.index=leveldb", "-volume.preStopSeconds=0"),
            *("-filer", f"-filer.port={filer}", f"-filer.port.grpc={filer_grpc}"),
            f"-filer.localSocket={self.folder / 'f'}",
            *("-s3", f"-s3.port={s3}", f"-s3.port.grpc={s3_grpc}", f"-s3.localSocket={self.folder / 's'}"),
            *(f"-s3.config={self.folder / 's3.json'}", "-s3.port.iceberg=0", "-s3.port.lance=0"),
            *tls,
        ]

    def answers(self) -> bool:
        if get(f"{self.url}/healthz").status_code != 200 or not get(f"{self.filer}/healthz").ok:
            return False
        topology = get(f"http://{HOST}:{self.ports[4]}/dir/status").json()["Topology"]
        return bool(topology["Max"])  # the disk has been announced

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
        for part, at in (
            ("s3", 1),
            ("filer", 3),
            ("master", 5),
            ("volume", 7),
        ):  # it leaves them, killed or not
            Path(f"/tmp/seaweedfs-{part}-grpc-{self.ports[at]}.sock").unlink(missing_ok=True)

    def shell(self, *lines: str) -> str:
        """What its administration says to commands."""
        ran = subprocess.run(
            [WEED, "shell", f"-master={HOST}:{self.ports[4]}.{self.ports[5]}"],
            input="\n".join(lines) + "\n",
            env=self.environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        return ran.stdout


def _identity(identity: Identity, actions: list[str]) -> dict[str, object]:
    credentials = [{"accessKey": identity.access, "secretKey": identity.secret}]
    return {"name": identity.access, "credentials": credentials, "actions": actions}
