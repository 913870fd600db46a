"""A bundle on its way to the data disk, from a stick or the intranet. It is checked and installed from there:
a stick may be pulled in the middle, and RAUC trusts no disk that others can write."""

import contextlib
import os
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import requests

from agent.errors import Stop
from agent.image.fetch import reason_of, shown

LARGEST = 4 << 30  # bytes
#: The bundle, what comes out of it while it is checked, and room for the agent to go on.
_ROOM = 2.2
_SPARE = 256 << 20
_BLOCK = 1 << 20
_TIMEOUTS = (5.0, 30.0)  # seconds to connect, and for each block
_SLOWEST = 3600.0  # seconds for the whole of it

Moved = Callable[[int, int], None]
"""(bytes so far, bytes in all, 0 when unknown)"""
Blocks = tuple[int, Iterator[bytes]]


@contextlib.contextmanager
def at_hand(source: str, folder: Path, ca: Path | None, moved: Moved) -> Iterator[Path]:
    """A copy of `source` in `folder` that is gone afterwards. Raises Stop."""
    copy = folder / "bundle.raucb"
    opened = _fetched(source, ca) if source.startswith(("http://", "https://")) else _read(Path(source))
    try:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            copy.unlink(missing_ok=True)
            with opened as (total, blocks):
                _need(folder, total)
                done = _write(copy, blocks, lambda done: moved(done, total))
        except requests.RequestException as error:
            raise Stop("update-unreachable", source=shown(source), reason=reason_of(error)) from error
        except OSError as error:
            reason = error.strerror or str(error)
            raise Stop("update-unreadable", source=shown(source), reason=reason) from error
        if total and done != total:
            raise Stop("update-unreachable", source=shown(source), reason="it broke off")
        _need(folder, done, there=done)
        yield copy
    finally:
        copy.unlink(missing_ok=True)


def _write(copy: Path, blocks: Iterator[bytes], moved: Callable[[int], None]) -> int:
    """Returns the size. Nobody but root may ever open it."""
    done = 0
    fd = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        for block in blocks:
            done += len(block)
            if done > LARGEST:
                raise Stop("update-too-large", largest=LARGEST)
            file.write(block)
            moved(done)
        file.flush()
        os.fsync(fd)
    return done


def _need(folder: Path, size: int, there: int = 0) -> None:
    free = shutil.disk_usage(folder).free
    needed = int(size * _ROOM) + _SPARE - there
    if free < needed:
        raise Stop("update-no-room", free=free, needed=needed)


@contextlib.contextmanager
def _read(path: Path) -> Iterator[Blocks]:
    with path.open("rb") as file:
        yield os.fstat(file.fileno()).st_size, iter(lambda: file.read(_BLOCK), b"")


@contextlib.contextmanager
def _fetched(url: str, ca: Path | None) -> Iterator[Blocks]:
    """No proxy, no redirect: what is asked for is in this house."""
    verify = str(ca) if ca else True
    with requests.Session() as session:
        session.trust_env = False
        with session.get(url, timeout=_TIMEOUTS, stream=True, verify=verify, allow_redirects=False) as answer:
            if answer.status_code != 200:
                raise Stop("update-unreachable", source=shown(url), reason=f"HTTP {answer.status_code}")
            length = answer.headers.get("Content-Length", "")
            yield int(length) if length.isdecimal() else 0, _in_time(answer.iter_content(_BLOCK), url)


def _in_time(blocks: Iterator[bytes], url: str) -> Iterator[bytes]:
    until = time.monotonic() + _SLOWEST
    for block in blocks:
        if time.monotonic() > until:
            raise Stop("update-unreachable", source=shown(url), reason="too slow")
        yield block
