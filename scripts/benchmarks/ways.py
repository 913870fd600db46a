"""How a clip comes to the centre: what the station is told of it, and the same requests sent by curl."""

import base64
from collections.abc import Mapping
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


class Way(Protocol):
    weed: Seaweed

    def target(self, bucket: str, folder: Path) -> dict[str, object]:
        """For the configuration of a station below `folder`."""
        ...

    def by_curl(self, bucket: str, key: str, one: Cargo, parts: list[Path]) -> Ran:
        """What it costs to send the parts, and nothing else."""
        ...


class S3:
    def __init__(self, weed: Seaweed) -> None:
        self.weed = weed

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

    def _put(self, where: str, number: int, upload: str, part: Path, digest: bytes) -> str:
        """Signed as ours."""
        asked = sign.query({"partNumber": str(number), "uploadId": upload})
        checksum = {"x-amz-checksum-sha256": base64.b64encode(digest).decode()}
        host = self.weed.url.removeprefix("http://")
        headers = sign.signed(KEYS, "us-east-1", "PUT", host, where, asked, checksum, digest.hex())
        del headers["host"]
        return in_curls_words(f"{self.weed.url}{where}?{asked}", part, headers)


class Tus:
    """The filer of the same server. What it took lies in the bucket."""

    def __init__(self, weed: Seaweed) -> None:
        self.weed = weed

    def target(self, bucket: str, folder: Path) -> dict[str, object]:
        return {"kind": "tus", "url": self._root(bucket), "plaintext": True}

    def by_curl(self, bucket: str, key: str, one: Cargo, parts: list[Path]) -> Ran:
        wire, root = Wire(Line()), self._root(bucket)
        length = {"Upload-Length": str(one.clip["size"])}
        begun = wire.ask("POST", f"{root}/{sign.path(key)}", {**_VERSION, **length})
        if begun.status != 201:
            raise BenchError(f"the filer begins no upload: {begun.status}")
        requests = []
        for number, part in enumerate(parts):
            offset = {"Upload-Offset": str(number * one.clip["part_size"])}
            headers = {**_VERSION, **offset, "Content-Type": "application/offset+octet-stream"}
            url = urljoin(root, begun.headers["Location"])
            requests.append(in_curls_words(url, part, headers, 'request = "PATCH"'))
        return clients.curl(requests, "204")

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
