"""A recording as a browser plays it: bytes of a file, and which of them. None is decoded here."""

import os
import re
import time
from collections.abc import AsyncIterator, Callable
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
_PIECE = 128 << 10  # bytes read at once
LOOK = 5.0  # seconds of one answer until it is looked again whether it may go on
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


class _Over(Exception):
    """Who looks on may not any more."""


class Sent(NamedTuple):
    """What an answer wants of who gives it: `may_go_on` tells, from any thread, whether the one who is sent
    it may still have it; `ended` is called once, whatever becomes of the answer."""

    may_go_on: Callable[[], bool]
    ended: Callable[[], None]


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


def answered(file: int, clip: int, name: str, ranged: str, sent: Sent) -> Response:
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
        sent.ended()
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    wanted = part or Span(0, size)
    headers["Content-Length"] = str(wanted.end - wanted.first)
    if part is not None:
        headers["Content-Range"] = f"bytes {part.first}-{part.end - 1}/{size}"
    return _Footage(file, wanted, sent, 200 if part is None else 206, headers, kind)


class _Footage(StreamingResponse):
    def __init__(self, file: int, wanted: Span, sent: Sent, *more: Any) -> None:
        super().__init__(_pieces(file, wanted, sent.may_go_on), *more)
        self._file, self._sent = file, sent

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except _Over:
            return  # an answer that does not end as it was begun: the server cuts it off
        finally:
            os.close(self._file)
            self._sent.ended()


async def _pieces(file: int, wanted: Span, may_go_on: Callable[[], bool]) -> AsyncIterator[bytes]:
    """A thread is taken for each piece alone, and few of them: neither who reads slowly nor a busy disk keeps
    others from their answers."""
    at, looked = wanted.first, time.monotonic()
    while at < wanted.end:
        if time.monotonic() - looked >= LOOK:
            if not await to_thread.run_sync(may_go_on):
                raise _Over
            looked = time.monotonic()
        size = min(_PIECE, wanted.end - at)
        piece = await to_thread.run_sync(os.pread, file, size, at, limiter=_own_threads())
        if not piece:
            raise OSError(f"a recording ends at {at}, before {wanted.end}")
        at += len(piece)
        yield piece


def _own_threads() -> CapacityLimiter:
    """Of the server that runs here."""
    found = _readers.get(None)
    if found is None:
        found = CapacityLimiter(_READERS)
        _readers.set(found)
    return found
