"""SeaweedFS as one process, on ports of this machine alone: S3 with its identities, and a filer behind it."""

import json
import os
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import requests

from scripts.demo_process import HOST

WEED = Path(sys.executable).with_name("weed")
#: All of it: its memory is bounded, and no account or proxy that somebody has elsewhere gets in.
ENVIRONMENT = {"GOMEMLIMIT": "400MiB"}
#: Without these a station may not even write an object that is locked from its first moment on.
LOCKING = (
    "PutObjectRetention",
    "PutObjectLegalHold",
    "GetObjectRetention",
    "GetObjectLegalHold",
    "GetBucketObjectLockConfiguration",
)


class Ports(NamedTuple):
    s3: int
    s3_grpc: int
    filer: int
    filer_grpc: int
    master: int
    master_grpc: int
    volume: int
    volume_grpc: int


@dataclass(frozen=True, slots=True)
class Identity:
    access: str
    secret: str = field(repr=False)


def command(data: Path, sockets: Path, identities: Path, ports: Ports) -> list[str | Path]:
    """`data` must exist; `sockets`: a folder with a short path."""
    return [
        *(WEED, "-logtostderr", "server", f"-dir={data}", f"-ip={HOST}", f"-ip.bind={HOST}"),
        *(f"-master.port={ports.master}", f"-master.port.grpc={ports.master_grpc}"),
        *("-master.telemetry=false", "-master.peers=none", "-master.volumeSizeLimitMB=64"),
        *(f"-volume.port={ports.volume}", f"-volume.port.grpc={ports.volume_grpc}", "-volume.max=0"),
        *("-volume.index=leveldb", "-volume.preStopSeconds=0"),
        *("-filer", f"-filer.port={ports.filer}", f"-filer.port.grpc={ports.filer_grpc}"),
        f"-filer.localSocket={sockets / 'f'}",
        *("-s3", f"-s3.port={ports.s3}", f"-s3.port.grpc={ports.s3_grpc}"),
        *(f"-s3.localSocket={sockets / 's'}", f"-s3.config={identities}"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
    ]


def station_actions(bucket: str, *, locked: bool) -> list[str]:
    """No more than a station needs."""
    return [f"{may}:{bucket}" for may in ("Read", "List", "Write", *(LOCKING if locked else ()))]


def write_identities(file: Path, identities: Iterable[tuple[Identity, Sequence[str]]]) -> None:
    """What each may do."""
    entries = [
        {
            "name": identity.access,
            "credentials": [{"accessKey": identity.access, "secretKey": identity.secret}],
            "actions": actions,
        }
        for identity, actions in identities
    ]
    write_closed(file, json.dumps({"identities": entries}))


def write_closed(file: Path, secret: str) -> None:
    """A new file that nobody else can read, from its first moment on."""
    fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as out:
        out.write(secret)


def answers(ports: Ports) -> bool:
    """Whether it takes objects."""
    try:
        with requests.Session() as session:
            session.trust_env = False
            for port in (ports.s3, ports.filer):
                if session.get(f"http://{HOST}:{port}/healthz", timeout=5).status_code != 200:
                    return False
            topology = session.get(f"http://{HOST}:{ports.master}/dir/status", timeout=5).json()["Topology"]
    except requests.RequestException:
        return False
    return bool(topology["Max"])  # the disk has been announced


def clear(ports: Ports) -> None:
    """What it leaves behind, killed or not."""
    for part in ("s3", "filer", "master", "volume"):
        port = getattr(ports, f"{part}_grpc")
        Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock").unlink(missing_ok=True)
