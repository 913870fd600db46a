"""The demo's central stores: where its clips go, and what lies there in the end, read without the agent."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Protocol

from scripts import weed
from scripts.demo_bucket import Bucket
from scripts.demo_process import HOST, DemoError, Process, free_ports

BUCKET = "clips"


class Centre(Protocol):
    @property
    def config(self) -> Mapping[str, object]:
        """Of the target, in a station's configuration."""
        ...

    @property
    def shown(self) -> Mapping[str, str]:
        """For people: what it is, and how to look into it."""
        ...

    def digests(self) -> Iterator[str]:
        """SHA-256 in hex of all that lies there but manifests and marks. Raises DemoError."""
        ...


@dataclass(frozen=True)
class Folder:
    path: Path

    @property
    def config(self) -> Mapping[str, object]:
        return {"kind": "folder", "path": str(self.path), "local": True}

    @property
    def shown(self) -> Mapping[str, str]:
        return {"The central store": f"the folder {self.path}"}

    def digests(self) -> Iterator[str]:
        return (digest(file) for file in self.path.rglob("*") if file.is_file() and _is_clip(file))


@dataclass(frozen=True)
class Seaweed:
    """SeaweedFS that runs. `keys`: file with those of the station, which may not make buckets."""

    ports: weed.Ports
    bucket: Bucket
    keys: Path

    @property
    def config(self) -> Mapping[str, object]:
        url = f"http://{HOST}:{self.ports.s3}"
        return {"kind": "s3", "url": url, "plaintext": True, "bucket": BUCKET, "credentials": str(self.keys)}

    @property
    def shown(self) -> Mapping[str, str]:
        return {
            "The central store": f"S3 at http://{HOST}:{self.ports.s3}, bucket {BUCKET}",
            "Keys to it": str(self.keys),
            "To look into it": f"http://{HOST}:{self.ports.filer}/buckets/{BUCKET}/",
        }

    def digests(self) -> Iterator[str]:
        return (self.bucket.digest(name) for name in self.bucket.names() if _is_clip(PurePath(name)))


@contextmanager
def folder(at: Path) -> Iterator[Folder]:
    path = at / "centre"
    path.mkdir()
    yield Folder(path)


@contextmanager
def seaweedfs(at: Path) -> Iterator[Seaweed]:
    """Real S3, its bucket with object lock. Raises DemoError when it does not run here."""
    data, keys, identities = at / "centre", at / "centre.keys", at / "centre.json"
    station, administrator = (weed.Identity(who, token_hex(20)) for who in ("station", "administrator"))
    may = weed.station_actions(BUCKET, locked=True)
    weed.write_identities(identities, [(station, may), (administrator, ["Admin"])])
    weed.write_closed(
        keys, f"[default]\naws_access_key_id = {station.access}\naws_secret_access_key = {station.secret}\n"
    )
    data.mkdir()
    ports = weed.Ports(*free_ports(len(weed.Ports._fields)))
    with TemporaryDirectory(prefix="recorder-station-") as sockets:
        command = weed.command(data, Path(sockets), identities, ports)
        process = Process("SeaweedFS", command, at / "centre.log", weed.ENVIRONMENT)
        try:
            _wait(process, ports)
            bucket = Bucket(f"{HOST}:{ports.s3}", BUCKET, administrator)
            bucket.make()
            yield Seaweed(ports, bucket, keys)
        finally:
            process.kill()  # left to itself it waits 15 s for one of its parts to leave another
            weed.clear(ports)


def _wait(process: Process, ports: weed.Ports) -> None:
    try:
        process.until(lambda: weed.answers(ports))
    except DemoError as e:
        raise DemoError(
            f"SeaweedFS, the central store, does not run here; run scripts/demo --store folder, which needs"
            f" none ({e})"
        ) from e


STORES: Mapping[str, Callable[[Path], AbstractContextManager[Centre]]] = {
    "seaweedfs": seaweedfs,
    "folder": folder,
}


def digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _is_clip(name: PurePath) -> bool:
    return name.suffix != ".json" and not name.name.startswith(".")
