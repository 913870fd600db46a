"""The doors: TCP ports and a Unix socket, bound before anything is served."""

import os
import socket
import stat
from pathlib import Path
from typing import Any

from agent.access.lockout import place
from agent.errors import Stop

_BACKLOG = 128
_SOCKET_MODE = 0o660  # the agent's user and group; the group is who may run the commands
_MOST = 200  # connections: each costs a file descriptor, which dockings need, too


class Crowd:
    """Who is inside of one or two doors. Counted where they come in: TLS gives each a quarter of a MiB before
    it has said a word."""

    def __init__(self, of_one: int = _MOST) -> None:
        """`of_one`: connections of one address at most."""
        self._of_one = of_one
        self._inside: list[tuple[socket.socket, str]] = []

    def takes(self, guest: socket.socket, address: Any) -> bool:
        came_from = place(str(address[0])) if isinstance(address, tuple) else ""
        self._inside = [one for one in self._inside if one[0].fileno() >= 0]
        of_it = sum(1 for _, other in self._inside if other == came_from)
        if len(self._inside) >= _MOST or of_it >= self._of_one:
            return False
        self._inside.append((guest, came_from))
        return True


class _Door(socket.socket):
    """Closes at once on whom there is no place for."""

    crowd: Crowd

    def accept(self) -> tuple[socket.socket, Any]:
        """Raises BlockingIOError: nobody was let in."""
        guest, address = super().accept()
        if self.crowd.takes(guest, address):
            return guest, address
        guest.close()
        raise BlockingIOError


def bind_tcp(host: str, port: int, crowd: Crowd) -> socket.socket:
    """Port 0 takes any free one. Raises Stop `web-port-taken`."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        door = _Door(family, kind, proto)
        door.crowd = crowd
    except OSError as error:
        raise Stop("web-port-taken", address=address, reason=_reason(error)) from error
    try:
        # A restart must not wait for the old connections' TIME_WAIT.
        door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        door.bind(where)
        door.listen(_BACKLOG)
    except OSError as error:
        door.close()
        raise Stop("web-port-taken", address=address, reason=_reason(error)) from error
    return door


def bind_unix(path: Path, crowd: Crowd) -> socket.socket:
    """Replaces the socket of an agent that is gone; never one that answers, never another file.

    Raises Stop `web-socket-failed`."""
    door = _Door(socket.AF_UNIX, socket.SOCK_STREAM)
    door.crowd = crowd
    try:
        _clear(path)
        door.bind(str(path))
        # Before listen nobody can connect, so there is no moment with the wrong mode.
        path.chmod(_SOCKET_MODE)
        door.listen(_BACKLOG)
    except OSError as error:
        door.close()
        raise Stop("web-socket-failed", path=str(path), reason=_reason(error)) from error
    return door


def remove_unix(path: Path, born: os.stat_result) -> None:
    """Removes the name of a socket that is still open, but not that of a newer agent in its place:
    while ours is open, no other file can have its inode."""
    try:
        if os.path.samestat(path.lstat(), born):
            path.unlink()
    except FileNotFoundError:
        return


def _clear(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        return
    if not stat.S_ISSOCK(mode):
        raise FileExistsError(0, "it is not a socket")
    if _answers(path):
        raise FileExistsError(0, "another agent listens there")
    path.unlink()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        return True


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
