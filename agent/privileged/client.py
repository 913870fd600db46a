"""The agent's side of the root helper: the same verbs as `verbs.InProcess`, each a call of its own.

A call takes as long as its verb: one that is stuck in the kernel ends when its recorder is disconnected, by
another call.
"""

import errno
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.privileged import protocol
from agent.privileged.erase import Doomed, Fate
from agent.privileged.find import Volume
from agent.privileged.verbs import Lent


class Helper:
    """Raises OSError: the helper's own, or ECONNREFUSED, ENOENT and their like without one."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mount(self, volume: Volume) -> Lent:
        said = self._call("mount", **volume._asdict())
        return Lent(Path(said["path"]), frozenset(said["empty"]))

    def unmount(self, mount: Path) -> None:
        self._call("unmount", mount=mount.name)

    def mounted(self) -> list[Path]:
        return [Path(path) for path in self._call("mounted")["paths"]]

    def erase(self, mount: Path, files: Sequence[Doomed]) -> list[Fate]:
        said = self._call("erase", mount=mount.name, files=[file._asdict() for file in files])
        return [Fate(**fate) for fate in said["files"]]

    def disconnect(self, port: str) -> Path | None:
        usb = self._call("disconnect", port=port)["usb"]
        return Path(usb) if usb else None

    def authorise(self, port: str) -> None:
        self._call("authorise", port=port)

    def _call(self, verb: str, **values: Any) -> dict[str, Any]:
        request = protocol.encode({"verb": verb, **values})
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            try:
                connection.connect(str(self._path))
                connection.sendall(request)
            except OSError as e:
                raise OSError(e.errno, f"the root helper does not answer ({e.strerror})") from e
            answer = _whole_line(connection)
        try:
            said = protocol.read(answer)
        except ValueError as e:
            raise OSError(errno.EPROTO, "the root helper ended in the middle of a call") from e
        if "errno" in said:
            raise OSError(said["errno"], said["error"])
        found: dict[str, Any] = said["ok"]
        return found


def _whole_line(connection: socket.socket) -> bytes:
    with connection.makefile("rb") as answers:
        return answers.readline()
