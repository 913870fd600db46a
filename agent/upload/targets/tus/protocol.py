"""One tus server: the few requests that carry a clip, none repeated.

After "tus - resumable upload protocol", version 1.0.0: the core, and the extensions creation, checksum and
termination. An upload is told by the path of its URL: a server that stands behind another one may call
itself by names that only that one knows, and nothing is ever sent elsewhere than to the configured address.
"""

import base64
import hashlib
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import urljoin, urlsplit

from agent.errors import AuthFailed, Transient
from agent.upload.targets.base import Check
from agent.upload.targets.http import Answer, Part, Wire
from agent.upload.targets.tus import errors

#: An upload, or what lies there, as it is asked for.
PATH = r"/[\x21-\x7e]{0,2047}"
_VERSION = "1.0.0"
_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)
_ALGORITHMS = ("sha256", "sha1")  # the better one first
_GONE = (404, 410)


@dataclass(frozen=True, slots=True)
class Offer:
    """What the server says of itself. `largest`: bytes of an upload, if there is a bound. `algorithm`: with
    which it compares what arrives; empty when it does not."""

    largest: int | None
    algorithm: str


@dataclass(frozen=True, slots=True)
class State:
    """How far an upload is, in bytes, as the server says."""

    offset: int
    length: int


class Server:
    """`url`: where uploads are created. Every method raises Transient, TargetFull or AuthFailed; those that
    send anything, Rejected for `key`."""

    def __init__(self, wire: Wire, url: str) -> None:
        self._wire = wire
        parts = urlsplit(url)
        self.origin, self.root = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
        self._offer: Offer | None = None

    def offer(self, *, anew: bool = True) -> Offer:
        """Unless `anew`, what it said before will do: nothing is confirmed for what it says here."""
        if self._offer is None or anew:
            answer = self._ask("OPTIONS", self.root or "/", fine=(200, 204, 400, *_GONE))
            versions, extensions = _listed(answer, "Tus-Version"), _listed(answer, "Tus-Extension")
            if _VERSION not in versions or "creation" not in extensions:
                raise AuthFailed("target-no-tus", error=str(answer.status))
            self._offer = Offer(_number(answer, "Tus-Max-Size"), _algorithm(answer))
        return self._offer

    def now(self) -> float:
        """Its clock: seconds since the epoch."""
        answer = self._ask("OPTIONS", self.root or "/", fine=(200, 204))
        try:
            return parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
        except (ValueError, OverflowError) as error:
            raise Transient("target-answer", why="no time") from error

    def create(self, path: str, length: int, metadata: Mapping[str, str], key: str) -> str:
        """Begin an upload at `path`; the path that the server gave it."""
        headers = {"Upload-Length": str(length), "Upload-Metadata": _pairs(metadata)}
        answer = self._ask("POST", path, headers, key=key, fine=(201,))
        location = answer.headers.get("Location", "")
        parts = urlsplit(urljoin(self.origin + path, location))
        upload = parts.path + (f"?{parts.query}" if parts.query else "")
        if not location or not re.fullmatch(PATH, upload, re.ASCII):
            raise Transient("target-answer", why="no upload")
        return upload

    def state(self, upload: str) -> State | None:
        """None when the server does not know it, or not any more."""
        answer = self._ask("HEAD", upload, fine=(200, 204, *_GONE))
        if answer.status in _GONE:
            return None
        offset, length = _number(answer, "Upload-Offset"), _number(answer, "Upload-Length")
        if offset is None or length is None:
            raise Transient("target-answer", why="no offset")
        return State(offset, length)

    def send(self, upload: str, offset: int, body: bytes | Part, checksum: str, key: str) -> bool:
        """`body` from `offset` on. False when the server does not know the upload any more."""
        headers = {"Upload-Offset": str(offset), "Content-Type": "application/offset+octet-stream"}
        if checksum:
            headers["Upload-Checksum"] = checksum
        answer = self._ask("PATCH", upload, headers, body, key=key, fine=(200, 204, *_GONE))
        if answer.status in _GONE:
            return False
        if _number(answer, "Upload-Offset") != offset + len(body):
            raise Transient("target-answer", why="another offset")
        return True

    def forget(self, upload: str) -> None:
        """One that is not known is forgotten already."""
        self._ask("DELETE", upload, fine=(200, 204, *_GONE))

    def size(self, path: str) -> int | None:
        """Of what lies there, in bytes; None when nothing does."""
        answer = self._ask("HEAD", path, fine=(200, *_GONE))
        if answer.status in _GONE:
            return None
        if (size := _number(answer, "Content-Length")) is None:
            raise Transient("target-answer", why="no size")
        return size

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer | None:
        """What lies there, whole: something small. None when nothing does."""
        answer = self._ask("GET", path, headers, fine=(200, *_GONE))
        return answer if answer.status == 200 else None

    def digest(self, path: str, check: Check) -> tuple[int, str] | None:
        """(bytes, their SHA-256 in hex) of what lies there, read; None when nothing does."""
        size, hasher = 0, hashlib.sha256()
        with self.read(path) as pieces:
            if pieces is None:
                return None
            for piece in pieces:
                check()
                size += len(piece)
                hasher.update(piece)
        return size, hasher.hexdigest()

    @contextmanager
    def read(self, path: str) -> Iterator[Iterator[bytes] | None]:
        """What lies there, piece by piece; None when nothing does."""
        with self._wire.asked("GET", self.origin + path, _sent(None)) as (answer, pieces):
            if answer.status != 200 and answer.status not in _GONE:
                raise errors.of_a_question(answer, path)
            yield pieces if answer.status == 200 else None

    def _ask(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | Part = b"",
        *,
        key: str = "",
        fine: tuple[int, ...],
    ) -> Answer:
        answer = self._wire.ask(method, self.origin + path, _sent(headers), body)
        if answer.status not in fine:
            raise errors.told(answer, key) if key else errors.of_a_question(answer, path)
        return answer


def checksum(algorithm: str, digest: bytes) -> str:
    return f"{algorithm} {base64.b64encode(digest).decode('ascii')}"


def _sent(headers: Mapping[str, str] | None) -> dict[str, str]:
    return {"Tus-Resumable": _VERSION, **(headers or {})}


def _pairs(metadata: Mapping[str, str]) -> str:
    return ",".join(
        f"{name} {base64.b64encode(value.encode()).decode('ascii')}" for name, value in metadata.items()
    )


def _listed(answer: Answer, name: str) -> list[str]:
    return [one.strip() for one in answer.headers.get(name, "").split(",")]


def _algorithm(answer: Answer) -> str:
    if "checksum" not in _listed(answer, "Tus-Extension"):
        return ""
    offered = _listed(answer, "Tus-Checksum-Algorithm")
    return next((one for one in _ALGORITHMS if one in offered), "")


def _number(answer: Answer, name: str) -> int | None:
    said = answer.headers.get(name, "")
    return int(said) if _NUMBER.fullmatch(said) else None
