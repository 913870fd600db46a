"""A bucket of SeaweedFS as the contract suite sees it; round the target, through the server's filer."""

import hashlib
import itertools
import json
from typing import Any, Self

import requests

from agent.model import StoredClip, spans
from agent.upload.targets.base import Target
from agent.upload.targets.http import Line, Wire
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.lock import Mode
from agent.upload.targets.s3.sign import Credentials
from agent.upload.targets.s3.target import S3Target
from tests.servers.weed import ADMIN, Weed
from tests.uploading import KEY, clip_of

_numbers = itertools.count(1)


class S3Kit:
    part = 5 << 20  # S3's smallest
    compares_parts = appends = False

    def __init__(self, weed: Weed, *, locked: bool = False) -> None:
        """`locked`: with object lock."""
        self._weed = weed
        self.name = f"contract-{next(_numbers)}"
        self._admin = self.bucket(weed.url)
        self._filer = f"{weed.filer}/buckets/{self.name}"
        self._admin._ask("PUT", "", headers={"x-amz-bucket-object-lock-enabled": "true"} if locked else {})
        self._first_contact = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._weed.forget(self.name)

    def bucket(self, url: str, **wire: Any) -> Bucket:
        """As somebody who may do everything; at `url`, which may be a proxy's."""
        return Bucket(Wire(Line(), **wire), url, self.name, lambda: Credentials(ADMIN.access, ADMIN.secret))

    def target(self) -> Target:
        return self.target_at(self._weed.url)

    def target_at(self, url: str, lock: Mode | None = None, **wire: Any) -> Target:
        bucket = self.bucket(url, **wire)
        made = S3Target("centre", "s3", bucket, first_contact=self._first_contact, lock=lock)
        if self._first_contact:
            made.place()
        self._first_contact = False
        return made

    def clip(self, data: bytes, key: str = KEY) -> StoredClip:
        return clip_of(data, key, self.part)

    def object(self, clip: StoredClip) -> bytes | None:
        return self._admin.get(f"clips/{clip.key}")

    def manifest(self, clip: StoredClip) -> Any:
        return json.loads(self._admin.get(f"clips/{clip.key}.json") or b"")

    def place(self, clip: StoredClip, data: bytes) -> None:
        self._admin.put(f"clips/{clip.key}", data, hashlib.sha256(data).digest(), replace=True)

    def remove(self, clip: StoredClip, *, manifest: bool) -> None:
        self._admin._ask("DELETE", f"clips/{clip.key}" + (".json" if manifest else ""), fine=(204,))

    def transfer(self, token: str) -> bytes | None:
        if not token.startswith("parts:") or (names := self._part_files(token)) is None:
            return None
        return b"".join(requests.get(f"{self._folder(token)}/{name}", timeout=60).content for name in names)

    def set_transfer(self, token: str, data: bytes | None) -> None:
        names = self._part_files(token) or []
        if data is None:
            gone = requests.delete(self._folder(token), params={"recursive": "true"}, timeout=60)
            assert gone.status_code == 204, gone
            return
        for number, (offset, length) in enumerate(spans(len(data), self.part), start=1):
            name = names[number - 1] if number <= len(names) else f"{number:04}_more.part"
            body = data[offset : offset + length]
            put = requests.put(f"{self._folder(token)}/{name}", data=body, timeout=60)
            assert put.status_code == 201, put
        for name in names[len(list(spans(len(data), self.part))) :]:
            assert requests.delete(f"{self._folder(token)}/{name}", timeout=60).status_code == 204

    def _folder(self, token: str) -> str:
        return f"{self._filer}/.uploads/{token.removeprefix('parts:')}"

    def _part_files(self, token: str) -> list[str] | None:
        answer = requests.get(f"{self._folder(token)}/", headers={"Accept": "application/json"}, timeout=60)
        if answer.status_code == 404:
            return None
        entries = answer.json()["Entries"] or []
        names = [entry["FullPath"].rpartition("/")[2] for entry in entries]
        return sorted(name for name in names if name.endswith(".part"))
