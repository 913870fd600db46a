"""One client of the fault proxy: its requests, one after the other, and what goes wrong with each."""

import asyncio
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from tests.servers import wire
from tests.servers.faults import Fault, Flip, HalfOpen, LoseResponse, Reply, Reset, Slow, Stall, Way
from tests.servers.process import HOST

_TICK = 0.02  # seconds


@dataclass(slots=True)
class Seen:
    method: str
    target: str  # path and query
    headers: tuple[str, ...]  # their names, in lower case, as they came
    received: int = 0  # bytes of the body that came from the client
    fault: Fault | None = None  # once it has taken place


class Cut(Exception):
    """Nothing more passes here."""


class Owner(Protocol):
    upstream: int

    def fault_for(self, seen: Seen) -> Fault | None: ...
    def keep(self, writer: StreamWriter) -> None: ...
    def ended(self) -> Awaitable[None]: ...


class Connection:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, proxy: Owner, reader: StreamReader, writer: StreamWriter) -> None:
        self._proxy, self._from_client, self._to_client = proxy, reader, writer
        self._from_server: StreamReader | None = None
        self._to_server: StreamWriter | None = None
        self._stalled = False
        wire.unbuffered(writer)

    def reset(self) -> None:
        for writer in filter(None, (self._to_client, self._to_server)):
            wire.reset(writer)

    def close(self) -> None:
        for writer in filter(None, (self._to_client, self._to_server)):
            writer.close()

    async def exchange(self) -> bool:
        """One request and its response; whether another may follow."""
        head = await self._next_head()
        if head is None:
            return False
        seen = Seen(head.words[0], head.words[1], tuple(head.headers))
        fault = self._proxy.fault_for(seen)
        if isinstance(fault, Reply):
            return await self._reply(fault, head, seen)
        if self._to_server is None or self._from_server is None:
            self._from_server, self._to_server = await asyncio.open_connection(HOST, self._proxy.upstream)
            wire.unbuffered(self._to_server)
        await self._write(self._to_server, head.raw)
        up = asyncio.ensure_future(
            self._pump(wire.body(self._from_client, head.headers), self._to_server, "in", fault, seen)
        )
        down = asyncio.ensure_future(self._response(self._from_server, seen.method, fault, seen))
        try:
            await asyncio.wait({up, down}, return_when=asyncio.FIRST_EXCEPTION)
            if up.done() and not isinstance(up.exception(), wire.Deaf):
                up.result()
            goes_on = await down  # of a server, too, that answers and closes before it has read all
            return goes_on and up.exception() is None
        finally:
            for task in (up, down):
                task.cancel()
            await asyncio.gather(up, down, return_exceptions=True)

    async def _next_head(self) -> wire.Head | None:
        """The client's next request; None when either side has closed."""
        head = asyncio.ensure_future(wire.head(self._from_client))
        while not head.done():
            await asyncio.wait({head}, timeout=_TICK)
            server = self._from_server
            if not head.done() and server is not None and (server.at_eof() or server.exception()):
                head.cancel()
                return None
        return head.result()

    async def _response(self, server: StreamReader, method: str, fault: Fault | None, seen: Seen) -> bool:
        """Passes the server's answer on; whether the connection stays."""
        to = None if isinstance(fault, LoseResponse) else self._to_client
        while True:
            head = await wire.head(server)
            if head is None:
                raise ConnectionResetError("the server closed without an answer")
            if to:
                await self._write(to, head.raw)
            status = int(head.words[1])
            if status >= 200:
                break
        bodiless = method == "HEAD" or status in (204, 304)
        sized = {"content-length", "transfer-encoding"} & head.headers.keys()
        if not bodiless:
            await self._pump(wire.body(server, head.headers, until_end=True), to, "out", fault, seen)
        if isinstance(fault, LoseResponse):
            seen.fault = fault
            self.reset()
            raise Cut
        return head.headers.get("connection", "").lower() != "close" and bool(bodiless or sized)

    async def _pump(
        self,
        pieces: AsyncIterator[tuple[bytes, bool]],
        to: StreamWriter | None,
        way: Way,
        fault: Fault | None,
        seen: Seen,
    ) -> None:
        """Passes a body on, to nowhere if `to` is None; raises Cut where it is cut."""
        here = fault if not isinstance(fault, Reset | Stall | HalfOpen | Flip) or fault.way == way else None
        cut = here if isinstance(here, Reset | Stall | HalfOpen) else None
        at = 0  # in the body's content
        if cut and not cut.after:
            await self._cut(cut, seen)
        async for piece, content in pieces:
            if content:
                seen.received += len(piece) if way == "in" else 0
                if isinstance(here, Flip) and at <= here.at < at + len(piece):
                    piece, seen.fault = _flipped(piece, here.at - at, here.bit), here
                if cut:
                    piece = piece[: cut.after - at]
                at += len(piece)
            if to:
                await self._write(to, piece, here.bytes_per_second if isinstance(here, Slow) else None)
            if isinstance(here, Slow):
                seen.fault = here
            if cut and at >= cut.after:
                await self._cut(cut, seen)

    async def _write(self, to: StreamWriter, data: bytes, bytes_per_second: float | None = None) -> None:
        if self._stalled:
            await self._proxy.ended()
        await wire.write(to, data, bytes_per_second)

    async def _cut(self, fault: Reset | Stall | HalfOpen, seen: Seen) -> None:
        seen.fault = fault
        match fault:
            case Reset():
                self.reset()
            case Stall():
                self._stalled = True
                await self._proxy.ended()
            case HalfOpen():
                wire.reset(self._to_client)
                if self._to_server:
                    self._proxy.keep(self._to_server)
                    self._to_server = None
        raise Cut

    async def _reply(self, reply: Reply, head: wire.Head, seen: Seen) -> bool:
        seen.fault = reply
        if reply.early:
            await self._write(self._to_client, _answer(reply, head.words[0], close=True))
            if reply.reset:
                self.reset()
        async for piece, content in wire.body(self._from_client, head.headers):
            seen.received += len(piece) if content else 0
        if not reply.early:
            await self._write(self._to_client, _answer(reply, head.words[0], close=False))
        return not reply.early


def _flipped(data: bytes, at: int, bit: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def _answer(reply: Reply, method: str, *, close: bool) -> bytes:
    headers = [*reply.headers, ("Content-Length", str(len(reply.body)))]
    if close:
        headers.append(("Connection", "close"))
    head = f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in headers)
    return head.encode() + b"\r\n" + (b"" if method == "HEAD" else reply.body)
