"""How a clip comes to the centre: by the station, by the same requests sent by curl, and by other clients."""

import base64
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Protocol
from urllib.parse import urljoin

from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3 import sign
from scripts.benchmarks import clients
from scripts.benchmarks.cargo import Cargo
from scripts.benchmarks.clients import Ran
from scripts.benchmarks.measure import BenchError
from scripts.benchmarks.seaweed import KEYS, Seaweed

_VERSION = {"Tus-Resumable": "1.0.0"}


Peer = Callable[[str, str, Cargo], Ran]
"""Brings a file to this bucket, under this key."""


class Way(Protocol):
    weed: Seaweed
    note: str  # what must be known to compare

    def peers(self, python: str) -> Mapping[str, Peer | None]:
        """Clients of others; None for one that is not here. `python`: runs those that are libraries."""
        ...

    def target(self, bucket: str, folder: Path) -> dict[str, object]:
        """For the configuration of a station below `folder`."""
        ...

    def by_curl(self, bucket: str, key: str, one: Cargo, parts: list[Path]) -> Ran:
        """What it costs to send the parts, and nothing else."""
        ...


class S3:
    note = ""

    def __init__(self, weed: Seaweed) -> None:
        self.weed = weed

    def peers(self, python: str) -> Mapping[str, Peer | None]:
        return {
            "rclone": self._by_rclone if clients.has_rclone() else None,
            "boto3": partial(self._by_boto3, python) if clients.has_library(python, "boto3") else None,
        }

    def target(self, bucket: str, folder: Path) -> dict[str, object]:
        keys = folder / "keys"
        keys.touch(0o600)
        keys.write_text(f"[default]\naws_access_key_id = {KEYS.key}\naws_secret_access_key = {KEYS.secret}\n")
        where = {"url": self.weed.url, "plaintext": True, "bucket": bucket}
        return {"kind": "s3", **where, "credentials": str(keys)}

    def by_curl(self, bucket: str, key: str, one: Cargo, parts: list[Path]) -> Ran:
        """An object is made of them afterwards, to see that they were taken."""
        there = self.weed.bucket(bucket)
        upload = there.create(key, {})
        digests = [bytes.fromhex(part) for part in one.clip["parts"]]
        requests = [
            self._put(f"/{bucket}/{sign.path(key)}", number, upload, part, digest)
            for number, (part, digest) in enumerate(zip(parts, digests, strict=True), start=1)
        ]
        ran = clients.curl(requests, "200")
        rows = sorted(there.parts(key, upload) or [], key=lambda row: row.number)
        if not there.complete(key, upload, rows, digests):
            raise BenchError("the parts of curl make no object")
        return ran

    def _by_rclone(self, bucket: str, key: str, one: Cargo) -> Ran:
        command = ["copyto", str(one.file), f"centre:{bucket}/{key}"]
        return clients.rclone(self.weed.url, command, one.clip["part_size"])

    def _by_boto3(self, python: str, bucket: str, key: str, one: Cargo) -> Ran:
        return clients.boto3(python, self.weed.url, bucket, key, one.file, one.clip["part_size"])

    def _put(self, where: str, number: int, upload: str, part: Path, digest: bytes) -> str:
        """Signed as ours."""
        asked = sign.query({"partNumber": str(number), "uploadId": upload})
        checksum = {"x-amz-checksum-sha256": base64.b64encode(digest).decode()}
        host = self.weed.url.removeprefix("http://")
        headers = sign.signed(KEYS, "us-east-1", "PUT", host, where, asked, checksum, digest.hex())
        del headers["host"]
        return in_curls_words(f"{self.weed.url}{where}?{asked}", part, headers)


class Tus:
    """The filer of the same server, which compares nothing. What it took lies in the bucket."""

    note = "curl and tuspy send no checksum and read nothing back"

    def __init__(self, weed: Seaweed) -> None:
        self.weed = weed

    def peers(self, python: str) -> Mapping[str, Peer | None]:
        here = clients.has_library(python, "tusclient.client")
        return {"tuspy": partial(self._by_tuspy, python) if here else None}

    def target(self, bucket: str, folder: Path) -> dict[str, object]:
        return {"kind": "tus", "url": self._root(bucket), "plaintext": True}

    def by_curl(self, bucket: str, key: str, one: Cargo, parts: list[Path]) -> Ran:
        wire, root = Wire(Line()), self._root(bucket)
        length = {"Upload-Length": str(one.clip["size"])}
        begun = wire.ask("POST", self._begin(bucket, key), {**_VERSION, **length})
        if begun.status != 201:
            raise BenchError(f"the filer begins no upload: {begun.status}")
        requests = []
        for number, part in enumerate(parts):
            offset = {"Upload-Offset": str(number * one.clip["part_size"])}
            headers = {**_VERSION, **offset, "Content-Type": "application/offset+octet-stream"}
            url = urljoin(root, begun.headers["Location"])
            requests.append(in_curls_words(url, part, headers, 'request = "PATCH"'))
        return clients.curl(requests, "204")

    def _by_tuspy(self, python: str, bucket: str, key: str, one: Cargo) -> Ran:
        return clients.tuspy(python, self._begin(bucket, key), one.file, one.clip["part_size"])

    def _begin(self, bucket: str, key: str) -> str:
        return f"{self._root(bucket)}/{sign.path(key)}"

    def _root(self, bucket: str) -> str:
        return f"{self.weed.filer}/.tus/buckets/{bucket}"


def split(one: Cargo, folder: Path) -> list[Path]:
    """A file for each part: curl cannot send a range of one."""
    folder.mkdir()
    parts = list[Path]()
    with one.file.open("rb") as data:
        while part := data.read(one.clip["part_size"]):
            parts.append(folder / f"{len(parts):05}")
            parts[-1].write_bytes(part)
    return parts


def in_curls_words(url: str, part: Path, headers: Mapping[str, str], *more: str) -> str:
    told = ("Expect:", *(f"{name}: {value}" for name, value in headers.items()))
    lines = (f'url = "{url}"', f'upload-file = "{part}"', *(f'header = "{line}"' for line in told), *more)
    return "\n".join((*lines, 'output = "/dev/null"', 'write-out = "%{http_code}\\n"'))
