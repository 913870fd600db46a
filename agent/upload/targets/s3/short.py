"""Short clips that are new to a bucket: a manifest, a clip and one question for each, and one for all.

Nobody asks before what lies there: both are made only where nothing is, and that nothing was there is the
answer. What the server has afterwards it tells of each clip by its SHA-256; of the manifests by their MD5
in one list, or one by one where a list does not tell that.
"""

import hashlib
import posixpath
import time
from collections.abc import Iterator, Sequence

from agent.errors import AuthFailed, Rejected
from agent.model import Lock, Receipt, StoredClip
from agent.upload.targets import document, keys
from agent.upload.targets.base import Check, LocalReader
from agent.upload.targets.http import Part
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.layout import CLIPS, JSON, metadata, of_part
from agent.upload.targets.s3.locks import Locks


class ShortClips:
    def __init__(self, bucket: Bucket, locks: Locks, address: str) -> None:
        self._bucket = bucket
        self._locks = locks
        self._address = address

    def lay(self, clip: StoredClip, reader: LocalReader) -> bool:
        """False when something lies under one of the names. The manifest first, as ever: so nothing of a
        clip that is there already is sent."""
        key, manifest, size = CLIPS + clip.key, document.write(clip), clip.manifest.size
        digest, [part] = hashlib.sha256(manifest).digest(), clip.manifest.parts
        with self._locks.asked_for(clip.lock) as lock, of_part(clip, 0, reader, 0, size):
            return self._bucket.put(key + keys.MANIFEST, manifest, digest, {**JSON, **lock}) and (
                self._bucket.put(key, Part(reader, 0, size), part, {**metadata(clip), **lock})
            )

    def told(self, clips: Sequence[StoredClip], check: Check) -> Iterator[Receipt | None]:
        check()
        # A list tells nothing of locks.
        plain = [clip for clip in clips if not self._locks.matters(clip.lock)]
        listed = self._listed(plain) if plain else {}
        for clip in clips:
            check()
            yield self._receipt(clip, listed)

    def _receipt(self, clip: StoredClip, listed: dict[str, str]) -> Receipt | None:
        key, manifest = CLIPS + clip.key, document.write(clip)
        head = self._bucket.head(key)
        if head is None or head.digest not in clip.manifest.digests:
            return None
        lock = Lock()
        if listed.get(key + keys.MANIFEST) != hashlib.md5(manifest, usedforsecurity=False).hexdigest():
            beside = self._bucket.head(key + keys.MANIFEST)
            if beside is None or beside.digest != hashlib.sha256(manifest).hexdigest():
                return None
            lock = self._locks.told(head.headers, beside.headers)
        return Receipt(f"{self._address}/{key}", head.size, head.digest, time.time(), "", lock)

    def _listed(self, clips: Sequence[StoredClip]) -> dict[str, str]:
        """What the server says that lies around these: object → its MD5, where it tells that. Nothing for
        those who may not list."""
        names = sorted(CLIPS + clip.key for clip in clips)
        folder = posixpath.commonpath([posixpath.dirname(name) for name in names]) + "/"
        try:
            # Each name has its manifest behind it; a few that are others' may lie in between.
            return self._bucket.listed(folder, after=names[0], most=3 * len(names))
        except (AuthFailed, Rejected):
            return {}
