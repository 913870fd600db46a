"""A bucket as the centre.

    .recorder-station-target   the mark: which store this is
    clips/<key>                a clip, never replaced
    clips/<key>.json           its manifest; laid first, so a clip is never seen without one
    stations/<path>            what stations tell about themselves

A clip of one part is one PUT, a longer one an upload of parts. Both are made only where nothing is, and
each part carries its digest, which the server compares before it takes the part.
"""

import hashlib
import logging
import re
import time
from collections.abc import Collection, Iterator, Sequence
from enum import Enum

from agent.errors import Rejected, StationError, Transient
from agent.model import Lock, Manifest, Receipt, StoredClip, spans
from agent.upload.targets import collected, document, documents, keys
from agent.upload.targets.base import Check, LocalReader, go_on
from agent.upload.targets.http import Part
from agent.upload.targets.mark import Mark
from agent.upload.targets.s3.bucket import Bucket, Row
from agent.upload.targets.s3.layout import CLIPS, JSON, metadata, of_part
from agent.upload.targets.s3.lock import Mode
from agent.upload.targets.s3.locks import Locks
from agent.upload.targets.s3.short import ShortClips

_KEY_MAX = 1024  # bytes of an object's whole key
_PAGE = 1000  # keys between two signs of life
_ANEW = "anew:"  # before a token: what lies there is not believed
_PUT = "put"  # the token of a clip that is one request: nothing of it is ever half there
_UPLOAD = re.compile(r"parts:([\x21-\x7e]{1,1024})", re.ASCII)
_log = logging.getLogger(__name__)


class _There(Enum):
    """What lies under a clip's key."""

    NOTHING = "nothing"
    OURS = "ours"
    DAMAGED = "damaged"  # it says of itself that it should be this clip, and its bytes are not


class S3Target:
    def __init__(
        self, name: str, address: str, bucket: Bucket, *, first_contact: bool, lock: Mode | None = None
    ) -> None:
        """`first_contact`: this station has never been in touch with it, so it may make the mark."""
        self.name = name
        self.address = address
        self.locking = lock is not None
        self._bucket = bucket
        self._locks = Locks(bucket, lock)
        self._mark = Mark(bucket, address, may_make=first_contact)
        self._short = ShortClips(bucket, self._locks, address)

    def place(self) -> str:
        return self._mark.ask()

    def begin(self, clip: StoredClip, *, anew: bool = False) -> str:
        keys.components(clip.key)
        if len((CLIPS + clip.key + keys.MANIFEST).encode()) > _KEY_MAX:
            raise Rejected("target-name", key=clip.key)
        mark = _ANEW if anew else ""
        if len(clip.manifest.parts) <= 1:
            return mark + _PUT
        with self._locks.asked_for(clip.lock) as headers:
            upload = self._bucket.create(CLIPS + clip.key, {**metadata(clip), **headers})
        if not _UPLOAD.fullmatch(_token(upload)):
            raise Transient("target-answer", why="no upload id")
        return mark + _token(upload)

    def position(self, clip: StoredClip, token: str, check: Check = go_on) -> int:
        check()
        upload, there = _upload(token, clip), self._there(clip, check, token)
        if there is _There.OURS and (upload is not None or self._described(clip)):
            return clip.manifest.size
        return 0 if upload is None else _good(clip.manifest, self._rows(clip, upload))

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        upload, number = _upload(token, clip), offset // clip.manifest.part_size
        part, digest = Part(reader, offset, length), clip.manifest.parts[number]
        with of_part(clip, number, reader, offset, length):
            if upload is None:
                self._put(clip, part, go_on, token)
            elif not self._bucket.send(CLIPS + clip.key, upload, number + 1, part, digest):
                raise Transient("token-lost")
        return token

    def finish(self, clip: StoredClip, token: str, check: Check = go_on) -> None:
        check()
        if (upload := _upload(token, clip)) is None:
            # `send` has made all of it; of an empty clip nothing was sent.
            if not clip.manifest.parts:
                self._put(clip, b"", check, token)
            return
        there = self._there(clip, check, token)
        if there is _There.OURS:
            self._lay_manifest(clip)
            self._forget(clip, upload)
        else:
            self._complete(clip, upload, there, check)

    def verify(
        self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
    ) -> Receipt:
        check()
        key = CLIPS + clip.key
        head = self._bucket.head(key)
        if head is None:
            raise Transient("not-there", what="clip")
        beside = self._bucket.fetch(key + keys.MANIFEST)
        if beside is None or not document.describes(beside.body, clip.manifest):
            raise Transient("not-there", what="manifest")
        size, digest, lock = head.size, head.digest, self._locks.told(head.headers, beside.headers)
        if read_back or digest not in clip.manifest.digests:  # of a form that we do not know, perhaps
            size, digest = self._read(key, check)
        # Asked last: who answers now has answered before.
        return Receipt(f"{self.address}/{key}", size, digest, time.time(), self._mark.ask(), lock)

    def read(self, clip: StoredClip, token: str, check: Check = go_on) -> Iterator[bytes]:
        return self._pieces(CLIPS + clip.key, check)

    def lay_new(self, clip: StoredClip, reader: LocalReader) -> bool:
        return self._short.lay(clip, reader)

    def told(self, clips: Sequence[StoredClip], check: Check = go_on) -> Iterator[Receipt | None]:
        return self._short.told(clips, check)

    def holds(self, clip: StoredClip, token: str) -> bool:
        key = CLIPS + clip.key
        head = self._bucket.head(key)
        if head is None or head.size != clip.manifest.size:
            return False
        if head.digest and head.digest not in clip.manifest.digests:
            return False
        return self._described(clip)

    def protect(self, clip: StoredClip, token: str) -> Lock:
        key = CLIPS + clip.key
        return self._locks.extend([key, key + keys.MANIFEST], clip.lock)

    def now(self) -> float:
        return self._bucket.now()

    def sweep(self, under_way: Collection[str], age: float) -> int:
        begun, now = self._bucket.uploads(CLIPS)
        ours = {token.removeprefix(_ANEW) for token in under_way}
        old = [one for one in begun if one.at < now - age and _token(one.upload) not in ours]
        for one in old:
            self._bucket.abort(one.key, one.upload)
        return len(old)

    def abort(self, clip: StoredClip, token: str) -> None:
        if (upload := _upload(token, clip)) is not None:
            self._bucket.abort(CLIPS + clip.key, upload)

    def lay(self, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        documents.components(path, data)
        body, digest = Part(documents.Pieces(data, check), 0, len(data)), hashlib.sha256(data).digest()
        return self._bucket.put(f"{documents.FOLDER}/{path}", body, digest, JSON, replace=replace)

    def fetch(self, path: str, check: Check = go_on) -> bytes | None:
        documents.components(path)
        check()
        return self._bucket.get(f"{documents.FOLDER}/{path}")

    def collected(self, recorder: str, since: str = "", check: Check = go_on) -> Iterator[str]:
        prefix = f"{CLIPS}{collected.folder(recorder)}/"
        # A little before: SeaweedFS passes over a whole folder whose very name it is to start behind.
        after = prefix + since[:-1] if since else ""
        check()
        for number, name in enumerate(self._bucket.keys(prefix, after), start=1):
            if number % _PAGE == 0:
                check()
            if name >= prefix + since and collected.is_clip(key := name.removeprefix(CLIPS)):
                yield key

    def _forget(self, clip: StoredClip, upload: str) -> None:
        """Best effort: the clip is there, and whoever may not abort leaves an upload behind, no more."""
        try:
            self._bucket.abort(CLIPS + clip.key, upload)
        except StationError as error:
            _log.warning("%s: an upload is left behind: %s", self.name, error)

    def _put(self, clip: StoredClip, body: bytes | Part, check: Check, token: str) -> None:
        self._lay_manifest(clip)
        key, digest = CLIPS + clip.key, bytes.fromhex(clip.manifest.sha256)
        with self._locks.asked_for(clip.lock) as lock:
            headers = {**metadata(clip), **lock}
            if self._bucket.put(key, body, digest, headers):
                return
            if self._there(clip, check, token) is _There.DAMAGED:
                check()
                self._bucket.put(key, body, digest, headers, replace=True)

    def _complete(self, clip: StoredClip, upload: str, there: _There, check: Check) -> None:
        rows = self._rows(clip, upload)
        if _good(clip.manifest, rows) != clip.manifest.size:
            raise Transient("token-lost")
        key, parts = CLIPS + clip.key, clip.manifest.parts
        rows = sorted({row.number: row for row in rows}.values(), key=lambda row: row.number)[: len(parts)]
        check()
        self._lay_manifest(clip)
        done = self._bucket.complete(key, upload, rows, parts, replace=there is _There.DAMAGED)
        if done:
            return
        ours = done is False and self._there(clip, check, "") is _There.OURS  # made by somebody meanwhile
        self._forget(clip, upload)
        if not ours:
            raise Transient("token-lost")

    def _there(self, clip: StoredClip, check: Check, token: str) -> _There:
        """Raises Rejected `target-conflict` when something else lies under the clip's key. What the server
        says of the bytes does not count in a transfer that was begun anew."""
        key = CLIPS + clip.key
        head = self._bucket.head(key)
        if head is None:
            return _There.NOTHING
        believed = head.size == clip.manifest.size and not token.startswith(_ANEW)
        if believed and self._is_ours(clip, head.digest, check):
            return _There.OURS
        # Only what says of itself that it should be this clip: a manifest alone may be older than the object.
        if head.headers.get("x-amz-meta-sha256") == clip.manifest.sha256:
            return _There.DAMAGED
        again = self._bucket.head(key)
        raise _conflict(
            clip, certain=again is not None and (again.size, again.digest) == (head.size, head.digest)
        )

    def _is_ours(self, clip: StoredClip, digest: str, check: Check) -> bool:
        """A digest of a form that we do not know says nothing: then the bytes are read."""
        if digest in clip.manifest.digests:
            return True
        return self._read(CLIPS + clip.key, check)[1] == clip.manifest.sha256

    def _described(self, clip: StoredClip) -> bool:
        """Whether its manifest is there."""
        return document.describes(self._bucket.get(CLIPS + clip.key + keys.MANIFEST), clip.manifest)

    def _read(self, key: str, check: Check) -> tuple[int, str]:
        """(bytes, their SHA-256 in hex) of an object, read back."""
        size, hasher = 0, hashlib.sha256()
        for piece in self._pieces(key, check):
            size += len(piece)
            hasher.update(piece)
        return size, hasher.hexdigest()

    def _pieces(self, key: str, check: Check) -> Iterator[bytes]:
        with self._bucket.read(key) as pieces:
            if pieces is None:
                raise Transient("not-there", what="clip")
            for piece in pieces:
                check()
                yield piece

    def _rows(self, clip: StoredClip, upload: str) -> list[Row]:
        rows = self._bucket.parts(CLIPS + clip.key, upload)
        if rows is None:
            raise Transient("token-lost")
        return rows

    def _lay_manifest(self, clip: StoredClip) -> None:
        key, wanted = CLIPS + clip.key + keys.MANIFEST, document.write(clip)
        digest = hashlib.sha256(wanted).digest()
        with self._locks.asked_for(clip.lock) as lock:
            headers = {**JSON, **lock}
            if self._bucket.put(key, wanted, digest, headers):
                return
            there = self._bucket.get(key)
            if there == wanted:
                return
            if there is not None and not document.describes(there, clip.manifest):
                raise _conflict(clip, certain=self._bucket.get(key) == there)
            self._bucket.put(key, wanted, digest, headers, replace=True)


def _conflict(clip: StoredClip, *, certain: bool) -> StationError:
    """A clip is put off for a day only by what the server says twice: one answer may be somebody else's, who
    stands on the way."""
    return Rejected("target-conflict", key=clip.key) if certain else Transient("target-answer", why="varies")


def _token(upload: str) -> str:
    return f"parts:{upload}"


def _upload(token: str, clip: StoredClip) -> str | None:
    """The upload id; None for a clip that is one request. Raises Transient `token-lost` for what can be no
    token of this clip."""
    token = token.removeprefix(_ANEW)
    if token == _PUT and len(clip.manifest.parts) <= 1:
        return None
    if (found := _UPLOAD.fullmatch(token)) is None:
        raise Transient("token-lost")
    return found[1]


def _good(manifest: Manifest, rows: list[Row]) -> int:
    """Bytes of the first parts that are there. Raises Transient `token-lost` when a part is there that is
    not ours: some servers list what was sent in its place beside it for ever, so it can only begin anew."""
    expected = {
        number: length for number, (_, length) in enumerate(spans(manifest.size, manifest.part_size), start=1)
    }
    listed = {(row.number, row.size, row.etag) for row in rows}  # one that was sent twice is listed twice
    if any(expected.get(number) != size for number, size, _ in listed):
        raise Transient("token-lost")
    numbers = [number for number, *_ in listed]
    if len(set(numbers)) != len(numbers):
        raise Transient("token-lost")
    there = set(numbers)
    missing = next((number for number in expected if number not in there), len(expected) + 1)
    return min((missing - 1) * manifest.part_size, manifest.size)
