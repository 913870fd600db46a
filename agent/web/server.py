"""The doors, and uvicorn behind them: a server for this machine, and one for the network, each with threads
of its own, so that a crowd at the one keeps nobody from the other.
"""

import asyncio
import logging
import socket
import ssl
import struct
import threading
import time
from pathlib import Path
from typing import NamedTuple

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.errors import Stop
from agent.model import Problem
from agent.web.guard import UID
from agent.web.sockets import Crowd, bind_tcp, bind_unix, remove_unix

log = logging.getLogger(__name__)

_WORKERS = 4  # threads that answer, at each server: each keeps a connection to the catalog
_GRACE_SECONDS = 2  # for answers under way at stop; the agent as a whole has ten
_UCRED = struct.Struct("3i")  # pid, uid, gid
_OF_ONE = 100  # connections of one address over the network: it keeps no other out
_PATIENCE = 15  # seconds for each request to be there as a whole, and for an answer to be fetched


class Lan(NamedTuple):
    """The door to the network. Port 0 is any free one."""

    host: str
    port: int
    certificate: Path
    key: Path


class WebServer:
    """Serves `app` on TCP (`host`, `port`; 0 is any free one), on the Unix socket `path`, and over TLS at
    `lan`.

    A door that cannot be opened is a problem to show, never a reason not to collect."""

    def __init__(self, app: ASGIApp, host: str, port: int, path: Path, lan: Lan | None = None) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._path = path
        self._lan = lan
        self._failed: list[Problem] = []
        self._servers: list[_Server] = []
        self._threads: list[threading.Thread] = []
        self._stopping = False
        self.port: int | None = None  # the TCP port in use; None while there is none
        self.lan_port: int | None = None

    def start(self) -> None:
        """Returns when all doors are open or have been noted as failed."""
        for name, context, doors in [("web", None, self._local()), *self._outside()]:
            if doors:
                server = _Server(self._app, context)
                thread = threading.Thread(target=_serve, args=(server, doors), name=name, daemon=True)
                self._servers.append(server)
                self._threads.append(thread)
        for thread in self._threads:
            thread.start()

    def _local(self) -> list[socket.socket]:
        doors: list[socket.socket] = []
        crowd = Crowd()
        try:
            tcp = bind_tcp(self._host, self._port, crowd)
            self.port = tcp.getsockname()[1]
            doors.append(tcp)
        except Stop as error:
            self._note(error)
        try:
            doors.append(bind_unix(self._path, crowd))
            self._born = self._path.lstat()
        except Stop as error:
            self._note(error)
        return doors

    def _outside(self) -> list[tuple[str, ssl.SSLContext, list[socket.socket]]]:
        if self._lan is None:
            return []
        try:
            context = _context(self._lan)
            door = bind_tcp(self._lan.host, self._lan.port, Crowd(of_one=_OF_ONE))
        except Stop as error:
            self._note(error)
            return []
        self.lan_port = door.getsockname()[1]
        return [("web-lan", context, [door])]

    def stop(self, timeout: float) -> bool:
        """Lets answers under way end. Whether the threads ended within `timeout` seconds."""
        self._stopping = True
        if not self._threads:
            return True
        # The name goes before the door: who comes now is told that no agent runs.
        if not self._is_failed("web-socket-failed"):
            remove_unix(self._path, self._born)
        for server in self._servers:
            server.ask_to_end()
        end = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, end - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    @property
    def alive(self) -> bool:
        return bool(self._threads) and all(thread.is_alive() for thread in self._threads)

    def problems(self) -> list[Problem]:
        """For the health board."""
        ended = not self._stopping and not all(thread.is_alive() for thread in self._threads)
        return [*self._failed, Problem("web-stopped")] if ended else list(self._failed)

    def _note(self, error: Stop) -> None:
        log.error("%s", error)
        self._failed.append(Problem(error.key, error.params))

    def _is_failed(self, key: str) -> bool:
        return any(problem.key == key for problem in self._failed)


def _context(lan: Lan) -> ssl.SSLContext:
    """Raises Stop `web-certificate-failed`."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(lan.certificate, lan.key)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise Stop("web-certificate-failed", path=str(lan.certificate), reason=reason) from error
    return context


def _serve(server: "_Server", doors: list[socket.socket]) -> None:
    async def served() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _WORKERS
        await server.serve(doors)

    asyncio.run(served())


class _Server(uvicorn.Server):
    """uvicorn without its ten ticks a second: an idle station sleeps. `context`: over TLS."""

    def __init__(self, app: ASGIApp, context: ssl.SSLContext | None) -> None:
        config = uvicorn.Config(
            app,
            http=_PeerProtocol,
            ws="none",
            loop="asyncio",
            lifespan="off",
            log_config=None,
            access_log=False,
            # It would let any local client set scope["client"], and that is who somebody is.
            proxy_headers=False,
            server_header=False,
            date_header=False,  # the ticks are there to renew it
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
        config.load()
        config.ssl = context
        super().__init__(config)
        self._end_asked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def main_loop(self) -> None:
        self._wake = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        # Asked either before the line above, which is seen here, or after it, which wakes the loop.
        if not self._end_asked.is_set():
            await self._wake.wait()
        self.should_exit = True

    def ask_to_end(self) -> None:
        """From any thread."""
        self._end_asked.set()
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)


class _PeerProtocol(H11Protocol):
    """Puts the peer of a Unix socket into `scope["client"]` as ("uid", uid), told by the kernel. Turns away
    who opens a connection and then neither asks nor fetches the answer: uvicorn waits for both for ever."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._fetched = 0  # times that what waited to be fetched was
        self._seen: tuple[object, int] = (
            None,
            0,
        )  # the request that was under way at the last look, and that
        self._look_again()
        peer: socket.socket = transport.get_extra_info("socket")
        if peer.family == socket.AF_UNIX:
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            _, uid, _ = _UCRED.unpack(credentials)
            self.client = (UID, uid)

    def connection_lost(self, exc: Exception | None) -> None:
        self._hurry.cancel()  # it would keep all of this, and the buffers of TLS, for as long as it waits
        super().connection_lost(exc)

    def resume_writing(self) -> None:
        self._fetched += 1
        super().resume_writing()

    def _look_again(self) -> None:
        self._hurry = self.loop.call_later(_PATIENCE, self._look)

    def _look(self) -> None:
        cycle = self.cycle
        ours = cycle is not None and not cycle.more_body and not cycle.response_complete
        before, fetched = self._seen
        # A recording takes its time: who fetches some of it between two looks is served on.
        stands = not ours or (fetched == self._fetched and self.transport.get_write_buffer_size())
        if cycle is before and stands:
            self.transport.abort()
            return
        self._seen = cycle, self._fetched
        self._look_again()
