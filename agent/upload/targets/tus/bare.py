"""A tus server that names its uploads itself, and gives each back at its own URL.

Nothing can be looked up there by a name of ours. A clip, its manifest and the mark are each an upload of
their own, and only who keeps their paths finds them: a clip's in its token, the mark's in the place. So
each station has a mark of its own, the same clip from two stations lies there twice, and nothing is ever
replaced. The manifest is whole before the clip's upload begins.
"""

import re
import threading
from collections.abc import Collection

from agent.errors import Transient
from agent.model import StoredClip
from agent.upload.targets import document, keys, mark
from agent.upload.targets.base import Check, go_on
from agent.upload.targets.http import Damaged
from agent.upload.targets.tus.protocol import PATH, Server, State
from agent.upload.targets.tus.target import TusTarget, metadata

_TOKEN = re.compile(f"({PATH}) ({PATH})", re.ASCII)  # the clip's upload, and its manifest's
_PLACE = re.compile(f"([0-9A-Za-z-]{{1,64}})@({PATH})", re.ASCII)


class BareTarget(TusTarget):
    def __init__(self, name: str, address: str, server: Server, *, known: str) -> None:
        """`known`: the place that this station has found there before; empty at first contact."""
        super().__init__(name, address, server)
        self._known = known
        self._lock = threading.Lock()  # of our own uploaders only one makes the mark

    def place(self) -> str:
        """The mark's id and where it lies: somewhere else it cannot be looked for."""
        with self._lock:
            self._known = known = self._known or self._make_mark()
        if (found := _PLACE.fullmatch(known)) is None:
            raise Transient("target-mark-unknown", path=self.address)
        body = self._read(found[2])
        # The last request is no GET: @tus/server 2.4.5 dies of a connection that ends right behind one.
        self._server.offer()
        if body is None:
            raise Transient("target-no-mark", path=self.address)
        if mark.read(body) != found[1]:
            raise Transient("target-mark-damaged", path=self._server.origin + found[2])
        return known

    def begin(self, clip: StoredClip, *, anew: bool = False) -> str:
        self._fits(clip)
        manifest = self._lay_manifest(clip)
        upload = self._server.create(self._server.root, clip.manifest.size, metadata(clip), clip.key)
        return f"{upload} {manifest}"

    def position(self, clip: StoredClip, token: str, check: Check = go_on) -> int:
        check()
        return self._position(clip, token, self._server.state(self._upload(token)))

    def finish(self, clip: StoredClip, token: str, check: Check = go_on) -> None:
        check()
        if not self._whole(clip, self._upload(token)):
            raise Transient("token-lost")

    def holds(self, clip: StoredClip, token: str) -> bool:
        try:
            upload, manifest = self._lies_at(clip, token)
        except Transient:
            return False
        return document.describes(self._read(manifest), clip.manifest) and self._whole(clip, upload)

    def sweep(self, under_way: Collection[str], age: float) -> int:
        """Nothing: such a server lists no uploads. It has a time of its own after which it forgets them."""
        return 0

    def abort(self, clip: StoredClip, token: str) -> None:
        self._inside.pop(token, None)
        upload, manifest = self._lies_at(clip, token)
        state = self._server.state(upload)
        if state is not None and state.offset < state.length:
            self._server.forget(upload)
            self._server.forget(manifest)

    def _upload(self, token: str) -> str:
        if (found := _TOKEN.fullmatch(token)) is None:
            raise Transient("token-lost")
        return found[1]

    def _lies_at(self, clip: StoredClip, token: str) -> tuple[str, str]:
        if (found := _TOKEN.fullmatch(token)) is None:
            raise Transient("not-there", what="clip")
        return found[1], found[2]

    def _may_complete(self, clip: StoredClip, token: str) -> bool:
        return True

    def _whole(self, clip: StoredClip, upload: str) -> bool:
        return self._server.state(upload) == State(clip.manifest.size, clip.manifest.size)

    def _lay_manifest(self, clip: StoredClip) -> str:
        body, about = document.write(clip), metadata(clip, keys.MANIFEST)
        upload = self._server.create(self._server.root, len(body), about, clip.key)
        self._server.send(upload, 0, body, "", clip.key)
        if self._read(upload) != body:
            raise Damaged(error="manifest")
        return upload

    def _make_mark(self) -> str:
        self._server.offer()
        body = mark.new()
        upload = self._server.create(self._server.root, len(body), {"key": mark.KEY}, mark.KEY)
        self._server.send(upload, 0, body, "", mark.KEY)
        if self._read(upload) != body:
            raise Damaged(error="mark")
        return f"{mark.read(body)}@{upload}"
