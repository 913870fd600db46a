"""A recording as a browser plays it: bytes of a file, and which of them. None is decoded here."""

import os
import re
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from anyio import CapacityLimiter, to_thread
from anyio.lowlevel import RunVar
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

#: What browsers show without running anything of it. All else is only to be saved.
MEDIA = {
    ".mp4": "video/mp4", ".m4v": "video/mp4", ".webm": "video/webm",
    ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png",
    ".mp3": "audio/mpeg", ".m4a": "audio/mp4", ".aac": "audio/aac", ".wav": "audio/wav",
}  # fmt: skip
OTHER = "application/octet-stream"
#: A file is a stranger's: opened by itself it runs, frames and asks for nothing.
POLICY = "default-src 'none'; frame-ancestors 'none'; sandbox"
#: Bytes of one answer to who asks for a part: who looks on asks again, and is seen to be still one who may.
MOST = 1 << 20
_PIECE = 256 << 10  # bytes read at once
_READERS = 2  # threads of each server that read recordings, beside those that answer
_readers: RunVar[CapacityLimiter] = RunVar("readers")
_RANGE = re.compile(r"bytes=([0-9]{0,19})-([0-9]{0,19})", re.ASCII)
_SUFFIX = re.compile(r"\.[a-z0-9]{1,8}", re.ASCII)


class Span(NamedTuple):
    """From `first` up to `end`, without that byte."""

    first: int
    end: int


class NoSuchBytes(Exception):
    """The range begins behind the file's end."""


def suffix(name: str) -> str:
    """Of a file's name, in small letters; "" of one that says nothing."""
    found = os.path.splitext(name)[1].lower()  # noqa: PTH122  `.mp4` alone has one, too
    return found if _SUFFIX.fullmatch(found) else ""


def media(name: str) -> str:
    return MEDIA.get(suffix(name), OTHER)


def span(header: str, size: int) -> Span | None:
    """What a Range header asks for. None: the whole file, also where it asks for several parts, or for what
    cannot be meant (RFC 9110, 14.2). Raises NoSuchBytes."""
    found = _RANGE.fullmatch(header.strip())
    if found is None or found[0] == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        first, last = str(max(0, size - int(last))), str(size - 1)
    elif last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise NoSuchBytes
    end = min(size, int(last) + 1 if last else size, int(first) + MOST)
    return Span(int(first), end)


def answered(file: int, clip: int, name: str, ranged: str) -> Response:
    """Of the open `file`, which is closed with the answer, whatever becomes of that. `ranged`: the Range
    header."""
    size, kind = os.fstat(file).st_size, media(name)
    headers = {"Content-Security-Policy": POLICY, "Accept-Ranges": "bytes"}
    if kind == OTHER:
        headers["Content-Disposition"] = f'attachment; filename="clip-{clip}{suffix(name)}"'
    try:
        part = span(ranged, size)
    except NoSuchBytes:
        os.close(file)
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    sent = part or Span(0, size)
    headers["Content-Length"] = str(sent.end - sent.first)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.end - 1}/{size}"
    return _Footage(file, _pieces(file, sent), 200 if part is None else 206, headers, kind)


class _Footage(StreamingResponse):
    def __init__(self, file: int, pieces: AsyncIterator[bytes], *more: Any) -> None:
        super().__init__(pieces, *more)
        self._file = file

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            os.close(self._file)


async def _pieces(file: int, sent: Span) -> AsyncIterator[bytes]:
    """A thread is taken for each piece alone, and few of them: neither who reads slowly nor a busy disk keeps
    others from their answers."""
    at = sent.first
    while at < sent.end:
        wanted = min(_PIECE, sent.end - at)
        piece = await to_thread.run_sync(os.pread, file, wanted, at, limiter=_own_threads())
        if not piece:
            raise OSError(f"a recording ends at {at}, before {sent.end}")
        at += len(piece)
        yield piece


def _own_threads() -> CapacityLimiter:
    """Of the server that runs here."""
    found = _readers.get(None)
    if found is None:
        found = CapacityLimiter(_READERS)
        _readers.set(found)
    return found
