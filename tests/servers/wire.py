"""HTTP/1.1 as the fault proxy must know it: where a message's head and body begin and end."""

import asyncio
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator
from dataclasses import dataclass

PIECE = 1 << 16
_TICK = 0.02  # seconds


class Deaf(ConnectionError):
    """The other side takes no more."""


@dataclass(frozen=True, slots=True)
class Head:
    raw: bytes
    words: list[str]  # of the first line
    headers: dict[str, str]  # by their names in lower case


async def head(reader: StreamReader) -> Head | None:
    """None when there is none any more."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as e:
        if e.partial:
            raise
        return None
    first, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Head(raw, first.split(" ", 2), {name.lower(): value.strip() for name, _, value in pairs})


async def body(
    reader: StreamReader, headers: dict[str, str], *, until_end: bool = False
) -> AsyncIterator[tuple[bytes, bool]]:
    """Its pieces as they come, and whether each is content or belongs to the framing."""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        size = 1
        while size:
            line = await reader.readuntil(b"\n")
            yield line, False
            size = int(line.split(b";")[0], 16)
            async for piece in _exactly(reader, size):
                yield piece, True
            yield await reader.readuntil(b"\n"), False
    elif "content-length" in headers:
        async for piece in _exactly(reader, int(headers["content-length"])):
            yield piece, True
    elif until_end:
        while piece := await reader.read(PIECE):
            yield piece, True


async def _exactly(reader: StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        piece = await reader.read(min(size, PIECE))
        if not piece:
            raise EOFError("the other side closed within a body")
        size -= len(piece)
        yield piece


def unbuffered(writer: StreamWriter) -> None:
    """After a `drain` all is with the kernel, and nothing is lost by a reset that follows."""
    writer.transport.set_write_buffer_limits(0)


async def write(to: StreamWriter, data: bytes, bytes_per_second: float | None = None) -> None:
    step = max(1, int(bytes_per_second * _TICK)) if bytes_per_second else max(1, len(data))
    try:
        for at in range(0, len(data), step):
            to.write(data[at : at + step])
            await to.drain()
            if bytes_per_second:
                await asyncio.sleep(len(data[at : at + step]) / bytes_per_second)
    except ConnectionError as e:
        raise Deaf from e


def reset(writer: StreamWriter) -> None:
    """Ends the connection with an RST instead of a FIN."""
    sock = writer.get_extra_info("socket")
    if sock.fileno() >= 0:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
