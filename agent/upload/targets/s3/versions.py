"""All versions of what lies in a bucket, and how they go. Only the archive deletes, never a station."""

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

from agent.model import Lock
from agent.upload.targets.s3 import errors, lock
from agent.upload.targets.s3.bucket import Bucket, checksum, text_of, xml_of


class Version(NamedTuple):
    """`marker`: it says that the object is deleted, and holds nothing."""

    key: str
    id: str  # "null" in a bucket without versions
    size: int
    marker: bool


class Versions(Bucket):
    """A bucket as the archive has it. Errors are those of a Bucket."""

    def versions(self, prefix: str) -> Iterator[Version]:
        """Of every object below `prefix`, also of what looks deleted, by key; of each the latest first."""
        page = dict[str, str]()
        while True:
            root = xml_of(self._ask("GET", "", {"versions": "", "prefix": prefix, **page}))
            for node in root:
                kind = errors.local(node.tag)
                if kind in ("Version", "DeleteMarker"):
                    size = text_of(node, "Size")
                    number = int(size) if size.isascii() and size.isdigit() else 0
                    found = text_of(node, "Key"), text_of(node, "VersionId"), number
                    yield Version(*found, kind == "DeleteMarker")
            following = {
                "key-marker": text_of(root, "NextKeyMarker"),
                "version-id-marker": text_of(root, "NextVersionIdMarker"),
            }
            if text_of(root, "IsTruncated") != "true" or not following["key-marker"] or following == page:
                return
            page = following

    def names(self, folder: str, after: str = "") -> Iterator[str]:
        """Of what lies directly in `folder`, which ends with `/`; what comes behind the key `after`."""
        asked = {"list-type": "2", "prefix": folder, "delimiter": "/"}
        page = {"start-after": after} if after else {}
        while True:
            root = xml_of(self._ask("GET", "", {**asked, **page}))
            for node in root:
                field = {"Contents": "Key", "CommonPrefixes": "Prefix"}.get(errors.local(node.tag))
                if field and (name := text_of(node, field).removeprefix(folder).rstrip("/")):
                    yield name
            following = {"continuation-token": text_of(root, "NextContinuationToken")}
            if text_of(root, "IsTruncated") != "true" or following == page or not all(following.values()):
                return
            page = following

    def content(self, version: Version) -> bytes | None:
        answer = self._ask("GET", version.key, {"versionId": version.id}, fine=(200, 404))
        return answer.body if answer.status == 200 else None

    def kept(self, version: Version) -> Lock | None:
        """Under what it is locked, in whatever mode; None when there is no such version."""
        answer = self._ask("HEAD", version.key, {"versionId": version.id}, fine=(200, 404))
        return lock.told(answer.headers, lock.Mode.GOVERNANCE) if answer.status == 200 else None

    def let_go(self, version: Version) -> None:
        """End its legal hold."""
        said = lock.legal_hold(on=False)
        digest = hashlib.sha256(said).digest()
        asked = {"legal-hold": "", "versionId": version.id}
        self._ask("PUT", version.key, asked, headers=checksum(digest), body=said, digest=digest)

    def delete(self, version: Version) -> None:
        """Nothing is bypassed: what is locked stays, and AuthFailed or Rejected tells so."""
        self._ask("DELETE", version.key, {"versionId": version.id}, fine=(200, 204, 404))
