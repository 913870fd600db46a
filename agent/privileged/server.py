"""The root helper: `recorder-station-helper`, started by systemd at the first call, ended when idle.

It knows the verbs of `protocol` and nothing else, asks the kernel who calls, and says in one line what became
of each call. A thread for each connection: one that is stuck in the kernel holds up none of the others.
"""

import argparse
import logging
import os
import pwd
import select
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from agent.privileged import protocol
from agent.privileged.find import TAG, Volume
from agent.privileged.protocol import Refused, Request
from agent.privileged.verbs import InProcess, Owner

log = logging.getLogger("recorder-station-helper")

SOCKET = Path("/run/recorder-station-helper.sock")
MOUNTS = Path("/run/recorder-station-mounts")
USER = "recorder-station"

_FIRST_FD = 3  # of those that systemd passes
_MOST = 128  # connections at a time: each of 32 slots may be stuck in one, and be disconnected by another
_SILENCE = 30.0  # seconds that a peer may take over sending its request, or taking its answer
_IDLE = 300.0  # seconds without a connection until the helper ends
_FAREWELL = 60.0  # seconds that a verb may still take when systemd ends the helper
_UCRED = struct.Struct("3i")


class Peer(NamedTuple):
    pid: int
    uid: int
    gid: int


class Server:
    """Serves until `stop`, or until nobody has called for `idle` seconds."""

    def __init__(self, verbs: InProcess, user: Owner, idle: float = _IDLE, silence: float = _SILENCE) -> None:
        self._verbs = verbs
        self._user = user
        self._idle = idle
        self._silence = silence
        self._busy = 0
        self._changed = threading.Condition()
        self._last = time.monotonic()
        self._woken, self._wake = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._stopping = False
        self._answers: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
            "mount": self._mount,
            "unmount": lambda said: self._verbs.unmount(self._verbs.folder / said["mount"]),
            "mounted": lambda _: {"paths": [str(path) for path in self._verbs.mounted()]},
            "erase": self._erase,
            "disconnect": lambda said: {"usb": _or_none(self._verbs.disconnect(said["port"]))},
            "authorise": lambda said: self._verbs.authorise(said["port"]),
        }

    def run(self, listener: socket.socket) -> None:
        listener.setblocking(False)
        while not self._stopping and (wait := self._patience()) > 0:
            ready, _, _ = select.select([listener.fileno(), self._woken], [], [], wait)
            if listener.fileno() not in ready:
                continue
            try:
                connection, _ = listener.accept()
            except OSError:
                continue  # the caller has left already
            self._welcome(connection)

    def stop(self) -> None:
        """From a signal handler too."""
        self._stopping = True
        os.write(self._wake, b"x")

    def finish(self, timeout: float = _FAREWELL) -> bool:
        """Wait for the verbs under way: an erasure must reach its end."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy, timeout)

    def _patience(self) -> float:
        with self._changed:
            return self._idle if self._busy else self._last + self._idle - time.monotonic()

    def _welcome(self, connection: socket.socket) -> None:
        with self._changed:
            full = self._busy >= _MOST
            self._busy += not full
        if full:
            log.warning("too many connections at a time; one more is refused")
            connection.close()
            return
        threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection:
                connection.settimeout(self._silence)
                peer = Peer(*_UCRED.unpack(connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)))
                if peer.uid not in (0, self._user.uid):
                    log.warning("uid=%d pid=%d: a stranger, refused", peer.uid, peer.pid)
                    connection.sendall(protocol.encode(_failure(13, "this user may not call the helper")))
                    return
                for line in _lines(connection):
                    connection.sendall(protocol.encode(self._answer(peer, line)))
        except OSError as e:
            log.info("a connection ended: %s", e)
        except Exception:
            log.exception("a connection failed")
        finally:
            with self._changed:
                self._busy -= 1
                self._last = time.monotonic()
                self._changed.notify_all()

    def _answer(self, peer: Peer, line: bytes) -> dict[str, Any]:
        began = time.monotonic()
        request = Request("?", {})
        try:
            request = protocol.parse(line)
            answer = {"ok": self._answers[request.verb](request.values) or {}}
            outcome = _shown(answer["ok"])
        except Refused as e:
            answer, outcome = _failure(22, str(e)), f"refused: {e}"
        except OSError as e:
            answer = _failure(e.errno or 5, e.strerror or str(e))
            outcome = f"failed: {e}"
        except Exception as e:
            log.exception("a bug in %s", request.verb)
            answer, outcome = _failure(5, f"internal: {e!r}"), "failed: internal"
        place = request.values.get("port") or request.values.get("mount") or "-"
        seconds = time.monotonic() - began
        caller = f"uid={peer.uid} pid={peer.pid}"
        log.info("%s %s %s: %s (%.2f s)", caller, request.verb, place, _one_line(outcome), seconds)
        return answer

    def _mount(self, said: Mapping[str, Any]) -> dict[str, Any]:
        lent = self._verbs.mount(Volume(**said), self._user)
        return {"path": str(lent.path), "empty": sorted(lent.empty)}

    def _erase(self, said: Mapping[str, Any]) -> dict[str, Any]:
        fates = self._verbs.erase(self._verbs.folder / said["mount"], said["files"], self._user)
        return {"files": [fate._asdict() for fate in fates]}


def _lines(connection: socket.socket) -> Iterator[bytes]:
    """Whole requests. One that is too long is given on as it is, to be refused, and is the last."""
    kept = b""
    while chunk := connection.recv(1 << 16):
        kept += chunk
        while b"\n" in kept and len(kept) <= protocol.LONGEST:
            line, _, kept = kept.partition(b"\n")
            yield line
        if len(kept) > protocol.LONGEST:
            yield kept
            return
    if kept:
        yield kept


def _failure(number: int, text: str) -> dict[str, Any]:
    return {"errno": number, "error": text}


def _shown(answer: Mapping[str, Any]) -> str:
    if "files" in answer:
        outcomes = [file["outcome"] for file in answer["files"]]
        return ", ".join(f"{outcomes.count(each)} {each}" for each in sorted(set(outcomes)))
    return str(answer.get("path") or answer.get("usb") or "done")


def _one_line(text: str) -> str:
    return text.encode("unicode_escape").decode("ascii")[:500]


def _or_none(path: Path | None) -> str | None:
    return str(path) if path else None


def owner_of(user: str) -> Owner:
    """`NAME`, or `UID:GID` of a user that has no name. Raises KeyError, ValueError."""
    if ":" in user:
        uid, gid = user.split(":")
        return Owner(int(uid), int(gid))
    known = pwd.getpwnam(user)
    return Owner(known.pw_uid, known.pw_gid)


def passed_by_systemd(environment: Mapping[str, str]) -> socket.socket | None:
    """The protocol of sd_listen_fds(3), for one socket."""
    if environment.get("LISTEN_PID") != str(os.getpid()) or environment.get("LISTEN_FDS") != "1":
        return None
    os.set_inheritable(_FIRST_FD, False)
    return socket.socket(fileno=_FIRST_FD)


@contextmanager
def bound(path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(0o666)  # for tests: who may call is judged by the peer's user alone
        listener.listen(64)
        try:
            yield listener
        finally:
            path.unlink(missing_ok=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="recorder-station-helper", description="The station's root helper; systemd starts it."
    )
    parser.add_argument("--socket", type=Path, help="listen there, without systemd; for tests")
    parser.add_argument("--user", default=USER, help="who may call beside root: NAME, or UID:GID")
    parser.add_argument("--mounts", type=Path, default=MOUNTS, help="where recorders are mounted")
    parser.add_argument("--tag", default=TAG, help="the udev tag of recorders")
    parser.add_argument("--idle", type=float, default=_IDLE, help="seconds without a call until it ends")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        user = owner_of(options.user)
    except (KeyError, ValueError):
        parser.error(f"there is no user {options.user}")
    listener = passed_by_systemd(os.environ)
    if listener is None and options.socket is None:
        parser.error("systemd passed no socket (recorder-station-helper.socket), and there is no --socket")
    _prepare(options.mounts, user)
    verbs = InProcess(options.mounts, options.tag)
    verbs.recover()
    server = Server(verbs, user, options.idle)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    if listener is not None:
        server.run(listener)
    else:
        with bound(options.socket) as listener:
            server.run(listener)
    # What is stuck in the kernel would keep the process from ending.
    whole = server.finish()
    logging.shutdown()
    os._exit(0 if whole else 1)


def _prepare(mounts: Path, user: Owner) -> None:
    """On a station tmpfiles.d has made it, and this does nothing."""
    if not mounts.is_dir():
        mounts.mkdir(parents=True)
        os.chown(mounts, 0, user.gid)
        mounts.chmod(0o710)
