"""The two doors: a TCP port and a Unix socket, bound before anything is served."""

import os
import socket
import stat
from pathlib import Path

from agent.errors import Stop

_BACKLOG = 128
_SOCKET_MODE = 0o660  # the agent's user and group; the group is who may run the commands


def bind_tcp(host: str, port: int) -> socket.socket:
    """Port 0 takes any free one. Raises Stop `web-port-taken`."""
    address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        family, kind, proto, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        door = socket.socket(family, kind, proto)
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


def bind_unix(path: Path) -> socket.socket:
    """Replaces the socket of an agent that is gone; never one that answers, never another file.

    Raises Stop `web-socket-failed`."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
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
