"""A filer of SeaweedFS as the centre, by tus.

    .recorder-station-target   the mark: which store this is
    clips/<key>                a clip
    clips/<key>.json           its manifest; laid before the last part, so a clip is never seen without one

The server lays an upload over whatever has its name. So the name is looked at before each last part; of two
who look at the same moment the second wins. Keys hold a digest, so both have the same bytes.
"""

import logging
import re
from collections.abc import Collection
from enum import Enum

from agent.errors import Rejected, StationError, Transient
from agent.model import StoredClip
from agent.upload.targets import document, documents, keys
from agent.upload.targets.base import Check, LocalReader, go_on
from agent.upload.targets.http import Damaged, Part
from agent.upload.targets.mark import Mark
from agent.upload.targets.tus.filer import Filer
from agent.upload.targets.tus.protocol import PATH, Server, State
from agent.upload.targets.tus.target import TusTarget, metadata

_CLIPS = "clips/"
_ANEW = "anew:"  # before a token: what lies there was read, and is not the clip
_log = logging.getLogger(__name__)


class _There(Enum):
    """What lies under a clip's key."""

    NOTHING = "nothing"
    OURS = "ours"
    DAMAGED = "damaged"  # the manifest beside it is this clip's, the content is not


class NamedTarget(TusTarget):
    def __init__(self, name: str, address: str, server: Server, *, first_contact: bool) -> None:
        """`first_contact`: this station has never been in touch with it, so it may make the mark."""
        super().__init__(name, address, server)
        self._filer = Filer(server)
        self._mark = Mark(self._filer, address, may_make=first_contact)
        self._last = ""  # a bit that flips on the way makes no other store of this one

    def place(self) -> str:
        self._server.offer()
        place = self._mark.ask()
        if place != self._last and place != self._mark.ask():
            raise _varies()
        self._last = place
        return place

    def begin(self, clip: StoredClip, *, anew: bool = False) -> str:
        self._fits(clip)
        path = self._filer.creates(_CLIPS + clip.key)
        upload = self._server.create(path, clip.manifest.size, metadata(clip), clip.key)
        return (_ANEW if anew else "") + upload

    def position(self, clip: StoredClip, token: str, check: Check = go_on) -> int:
        check()
        state = self._server.state(self._upload(token))
        # When the upload is gone it may be what lies there by now, whatever lay there before.
        if self._there(clip, check, token if state else "") is _There.OURS:
            return clip.manifest.size
        return self._position(clip, token, state)

    def finish(self, clip: StoredClip, token: str, check: Check = go_on) -> None:
        check()
        upload, path = self._upload(token), self._filer.path(_CLIPS + clip.key)
        size = self._server.size(path)
        if size is None:
            self._complete(clip, token)
            size = self._server.size(path)
        if size is None:
            raise Transient("token-lost")
        if size != clip.manifest.size or not document.describes(self._manifest(clip), clip.manifest):
            self._there(clip, check, "")
        self._lay_manifest(clip)
        self._forget(upload)

    def holds(self, clip: StoredClip, token: str) -> bool:
        size = self._server.size(self._filer.path(_CLIPS + clip.key))
        return size == clip.manifest.size and document.describes(self._manifest(clip), clip.manifest)

    def sweep(self, under_way: Collection[str], age: float) -> int:
        begun, now = self._filer.uploads()
        ours = {token.removeprefix(_ANEW) for token in under_way}
        old = [one for one in begun if one.at < now - age and one.upload not in ours]
        for one in old:
            self._server.forget(one.upload)
        return len(old)

    def abort(self, clip: StoredClip, token: str) -> None:
        self._inside.pop(token, None)
        self._server.forget(self._upload(token))

    def lay(self, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        documents.components(path, data)
        check()
        key, there = f"{documents.FOLDER}/{path}", self.fetch(path)
        if there is not None and not replace:
            return False
        if there != data:
            self._put(key, documents.Pieces(data, check), data)
        return True

    def fetch(self, path: str, check: Check = go_on) -> bytes | None:
        documents.components(path)
        check()
        return self._filer.get(f"{documents.FOLDER}/{path}")

    def _upload(self, token: str) -> str:
        upload = token.removeprefix(_ANEW)
        if not re.fullmatch(PATH, upload, re.ASCII):
            raise Transient("token-lost")
        return upload

    def _lies_at(self, clip: StoredClip, token: str) -> tuple[str, str]:
        key = _CLIPS + clip.key
        return self._filer.path(key), self._filer.path(key + keys.MANIFEST)

    def _may_complete(self, clip: StoredClip, token: str) -> bool:
        if self._there(clip, go_on, token) is _There.OURS:
            return False
        self._lay_manifest(clip)
        return True

    def _complete(self, clip: StoredClip, token: str) -> None:
        """Of an upload that has all its bytes and is no object yet: one of no bytes, or of a server that was
        killed just then."""
        upload, size = self._upload(token), clip.manifest.size
        if self._server.state(upload) == State(size, size) and self._may_complete(clip, token):
            self._server.send(upload, size, b"", "", clip.key)

    def _there(self, clip: StoredClip, check: Check, token: str) -> _There:
        """Raises Rejected `target-conflict` when something else lies under the clip's key. What lies there is
        not read in a transfer (`token`) that was begun anew: it was, and is not the clip."""
        path = self._filer.path(_CLIPS + clip.key)
        size = self._server.size(path)
        if size is None:
            return _There.NOTHING
        same, anew = size == clip.manifest.size, token.startswith(_ANEW)
        found = self._server.digest(path, check) if same and not anew else None
        if found == (size, clip.manifest.sha256):
            return _There.OURS
        # One of another size was never made by an upload of ours, whatever manifest lies beside it.
        if (same or anew) and document.describes(self._manifest(clip), clip.manifest):
            return _There.DAMAGED
        certain = self._server.size(path) == size
        if same and not anew:
            certain = self._server.digest(path, check) == found
        raise Rejected("target-conflict", key=clip.key) if certain else _varies()

    def _manifest(self, clip: StoredClip) -> bytes | None:
        return self._filer.get(_CLIPS + clip.key + keys.MANIFEST)

    def _lay_manifest(self, clip: StoredClip) -> None:
        """Where nothing, or the clip itself, lies under its key. What lies here then and does not describe it
        came damaged and was not looked at before a cut, so it is replaced. A clip that is called like this
        has a manifest of its own."""
        key, wanted = _CLIPS + clip.key + keys.MANIFEST, document.write(clip)
        there = self._filer.get(key)
        if there == wanted:
            return
        if there is not None and not document.describes(there, clip.manifest):
            besides = (self._filer.get(key + keys.MANIFEST) for _ in range(2))  # one answer may be a lie
            if any(document.is_one(one or b"") for one in besides):
                raise Rejected("target-conflict", key=clip.key)
        self._put(key, documents.Pieces(wanted, go_on), wanted)

    def _put(self, key: str, reader: LocalReader, data: bytes) -> None:
        """Raises Damaged when it did not arrive as it is. One that is damaged must not stay, since it looks
        like somebody else's."""
        for _ in range(2):
            self._filer.write(key, Part(reader, 0, len(data)))
            if self._filer.get(key) == data:
                return
        raise Damaged(error=key.rpartition("/")[2])

    def _forget(self, upload: str) -> None:
        """Best effort: the clip is there, and an upload that is left behind is swept one day."""
        try:
            self._server.forget(upload)
        except StationError as error:
            _log.warning("%s: an upload is left behind: %s", self.name, error)


def _varies() -> Transient:
    """A clip is put off for a day, and a store taken for another one, only by what was read twice: nobody
    compares what comes back."""
    return Transient("target-answer", why="varies")
