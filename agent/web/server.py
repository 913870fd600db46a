"""One uvicorn server on a thread of its own, behind both doors."""

import asyncio
import logging
import socket
import struct
import threading
from pathlib import Path

import anyio.to_thread
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.errors import Stop
from agent.model import Problem
from agent.web.guard import UID
from agent.web.sockets import bind_tcp, bind_unix, remove_unix

log = logging.getLogger(__name__)

_WORKERS = 4  # threads that answer: each keeps a connection to the catalog
_GRACE_SECONDS = 2  # for answers under way at stop; the agent as a whole has ten
_UCRED = struct.Struct("3i")  # pid, uid, gid


class WebServer:
    """Serves `app` on TCP (`host`, `port`; 0 is any free one) and on the Unix socket `path`.

    A door that cannot be opened is a problem to show, never a reason not to collect."""

    def __init__(self, app: ASGIApp, host: str, port: int, path: Path) -> None:
        self._app = app
        self._host = host
        self._port = port
        self._path = path
        self._failed: list[Problem] = []
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self.port: int | None = None  # the TCP port in use; None while there is none

    def start(self) -> None:
        """Returns when both doors are open or have been noted as failed."""
        doors: list[socket.socket] = []
        try:
            tcp = bind_tcp(self._host, self._port)
            self.port = tcp.getsockname()[1]
            doors.append(tcp)
        except Stop as error:
            self._note(error)
        try:
            doors.append(bind_unix(self._path))
            self._born = self._path.lstat()
        except Stop as error:
            self._note(error)
        if doors:
            self._server = _Server(self._app)
            self._thread = threading.Thread(target=self._server.run, args=(doors,), name="web", daemon=True)
            self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Lets answers under way end. Whether the thread ended within `timeout` seconds."""
        self._stopping = True
        if self._server is None or self._thread is None:
            return True
        # The name goes before the door: who comes now is told that no agent runs.
        if not self._is_failed("web-socket-failed"):
            remove_unix(self._path, self._born)
        self._server.ask_to_end()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    @property
    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def problems(self) -> list[Problem]:
        """For the health board."""
        ended = self._thread is not None and not self._thread.is_alive() and not self._stopping
        return [*self._failed, Problem("web-stopped")] if ended else list(self._failed)

    def _note(self, error: Stop) -> None:
        log.error("%s", error)
        self._failed.append(Problem(error.key, error.params))

    def _is_failed(self, key: str) -> bool:
        return any(problem.key == key for problem in self._failed)


class _Server(uvicorn.Server):
    """uvicorn without its ten ticks a second: an idle station sleeps."""

    def __init__(self, app: ASGIApp) -> None:
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
        super().__init__(config)
        self._end_asked = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = _WORKERS
        await super().startup(sockets)

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
    """Puts the peer of a Unix socket into `scope["client"]` as ("uid", uid), told by the kernel."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer: socket.socket = transport.get_extra_info("socket")
        if peer.family == socket.AF_UNIX:
            credentials = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
            _, uid, _ = _UCRED.unpack(credentials)
            self.client = (UID, uid)
