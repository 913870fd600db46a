"""What both shapes of tus server have in common: parts on their way there, and reading back.

Most servers compare nothing of what arrives. So a part's bytes are compared with the manifest before they are
sent, and nothing is vouched for that was not read back whole.
"""

import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator

from agent.errors import NotEqual, Rejected, Transient
from agent.model import Lock, Receipt, StoredClip
from agent.upload.targets import document, keys
from agent.upload.targets.base import Check, LocalReader, go_on
from agent.upload.targets.http import PIECE, Damaged, Part
from agent.upload.targets.tus.protocol import Server, State, checksum


class TusTarget(ABC):
    """A token names the upload, and whatever else finds the clip again."""

    def __init__(self, name: str, address: str, server: Server) -> None:
        self.name = name
        self.address = address
        self.locking = False
        self._server = server
        #: Transfers that the server has up to the middle of a part, by their tokens: what was just asked.
        self._inside: dict[str, int] = {}

    @abstractmethod
    def place(self) -> str: ...

    @abstractmethod
    def _upload(self, token: str) -> str:
        """The clip's upload. Raises Transient `token-lost` for what can be no token of ours."""

    @abstractmethod
    def _may_complete(self, clip: StoredClip, token: str) -> bool:
        """Asked before the last part, with which the clip becomes whole. False when it is there already."""

    @abstractmethod
    def _lies_at(self, clip: StoredClip, token: str) -> tuple[str, str]:
        """Paths of the finished clip and of its manifest. Raises Transient `not-there`."""

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        upload, number, end = self._upload(token), offset // clip.manifest.part_size, offset + length
        at = self._inside.pop(token, offset)
        if not offset <= at < end:
            at = offset
        try:
            compared = self._compared(clip, reader, offset, length, at)
            if end == clip.manifest.size and not self._may_complete(clip, token):
                return token
            if not self._server.send(upload, at, Part(reader, at, end - at), compared, clip.key):
                raise Transient("token-lost")
        except Damaged:
            # On its way, or on our disk before that? Only the second is for ever.
            if _digest(reader, offset, length) != clip.manifest.parts[number]:
                raise NotEqual(part=number) from None
            raise
        except NotEqual as error:
            raise NotEqual(**{"part": number, **error.params}) from error
        return token

    def verify(
        self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
    ) -> Receipt:
        """Always of bytes that were read: no tus server tells a digest of what it has."""
        check()
        path, manifest = self._lies_at(clip, token)
        found = self._server.digest(path, check)
        if found is None:
            raise Transient("not-there", what="clip")
        if not document.describes(self._read(manifest), clip.manifest):
            raise Transient("not-there", what="manifest")
        # Asked last: who answers now has answered before.
        return Receipt(self._server.origin + path, *found, time.time(), self.place())

    def read(self, clip: StoredClip, token: str, check: Check = go_on) -> Iterator[bytes]:
        path, _ = self._lies_at(clip, token)
        with self._server.read(path) as pieces:
            if pieces is None:
                raise Transient("not-there", what="clip")
            for piece in pieces:
                check()
                yield piece
        self._server.offer()  # the last request is no GET, as in BareTarget.place

    def protect(self, clip: StoredClip, token: str) -> Lock:
        return Lock()

    def now(self) -> float:
        return self._server.now()

    def _compared(self, clip: StoredClip, reader: LocalReader, offset: int, length: int, at: int) -> str:
        """The checksum of a part from `at` on; empty where the server compares nothing. Raises NotEqual when
        the part is not what the manifest says; a server that compares finds that out by itself."""
        expected = clip.manifest.parts[offset // clip.manifest.part_size]
        algorithm = self._server.offer(anew=False).algorithm
        if algorithm == "sha256" and at == offset:
            return checksum(algorithm, expected)
        if _digest(reader, offset, length) != expected:
            raise NotEqual
        if not algorithm:
            return ""
        return checksum(algorithm, _digest(reader, at, offset + length - at, algorithm))

    def _position(self, clip: StoredClip, token: str, state: State | None) -> int:
        """The last boundary that the server has come to. What it has of the part behind that is not sent
        again: tus takes bytes only where it stands. Raises Transient `token-lost` for what cannot be."""
        size = clip.manifest.size
        if state is None or state.length != size or state.offset > size:
            raise Transient("token-lost")
        if state.offset == size:
            return size
        inside = state.offset % clip.manifest.part_size
        if inside:
            self._inside[token] = state.offset
        else:
            self._inside.pop(token, None)
        return state.offset - inside

    def _fits(self, clip: StoredClip) -> None:
        """Raises Rejected for what the server would never take."""
        keys.components(clip.key)
        largest = self._server.offer().largest
        if largest and clip.manifest.size > largest:
            raise Rejected("target-too-large", key=clip.key)

    def _read(self, path: str) -> bytes | None:
        answer = self._server.get(path)
        return None if answer is None else answer.body


def metadata(clip: StoredClip, suffix: str = "") -> dict[str, str]:
    """For whoever finds an upload without its manifest. No `filename`: some servers fail over those that are
    not Latin."""
    return {
        "key": clip.key + suffix,
        "sha256": clip.manifest.sha256,
        "part-size": str(clip.manifest.part_size),
    }


def _digest(reader: LocalReader, offset: int, length: int, algorithm: str = "sha256") -> bytes:
    """Of what there is: a file that ends before its time gives another one."""
    hasher, end = hashlib.new(algorithm), offset + length
    while offset < end and (piece := reader.look(min(PIECE, end - offset), offset)):
        hasher.update(piece)
        offset += len(piece)
    return hasher.digest()
