"""A bucket as the archive's store."""

import hashlib
from collections.abc import Iterator
from itertools import groupby, takewhile
from operator import attrgetter

from agent.archive.store import Entry
from agent.errors import Transient
from agent.model import Lock
from agent.upload.targets.mark import Mark
from agent.upload.targets.s3.versions import Version, Versions

_TRIES = 3  # listings that may show one more version
_JSON = {"Content-Type": "application/json"}


class BucketStore:
    def __init__(self, address: str, bucket: Versions) -> None:
        self.address, self._bucket = address, bucket
        self._mark = Mark(bucket, address, may_make=False)

    def place(self) -> str:
        return self._mark.ask()

    def now(self) -> float:
        return self._bucket.now()

    def below(self, folder: str, after: str = "") -> list[str]:
        names = set(self._bucket.names(f"{folder}/", f"{folder}/{after}" if after else ""))
        return sorted(name for name in names if name > after)

    def entries(self, folder: str) -> Iterator[Entry]:
        for path, versions in groupby(self._bucket.versions(f"{folder}/"), attrgetter("key")):
            yield Entry(path, sum(version.size for version in versions))

    def read(self, path: str, *, hidden: bool = False) -> bytes | None:
        if (found := self._bucket.get(path)) is not None or not hidden:
            return found
        real = [version for version in self._versions(path) if not version.marker]
        return self._bucket.content(real[0]) if real else None

    def lay(self, path: str, data: bytes) -> bool:
        return self._bucket.put(path, data, hashlib.sha256(data).digest(), _JSON)

    def exists(self, path: str) -> bool:
        return any(not version.marker for version in self._versions(path))

    def kept(self, path: str) -> Lock:
        locks = [self._bucket.kept(version) for version in self._versions(path) if not version.marker]
        told = [lock for lock in locks if lock is not None]
        return Lock(max((lock.until for lock in told), default=0.0), any(lock.hold for lock in told))

    def erase(self, path: str) -> int:
        gone = 0
        for _ in range(_TRIES):
            versions = self._versions(path)
            if not versions:
                return gone
            for version in versions:
                if not version.marker and (lock := self._bucket.kept(version)) and lock.hold:
                    self._bucket.let_go(version)
                self._bucket.delete(version)
                gone += 1
        if self._versions(path):
            raise Transient("archive-comes-back", path=path)
        return gone

    def _versions(self, path: str) -> list[Version]:
        """What else begins with `path` comes behind it."""
        return list(takewhile(lambda version: version.key == path, self._bucket.versions(path)))
