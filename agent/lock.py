"""One agent, or one repair, per store."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from agent.errors import Stop


@contextlib.contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Hold the store at `folder`. Raises Stop `already-running` while somebody else does.

    The kernel lets go of it when the process ends, however it ends."""
    folder.mkdir(parents=True, exist_ok=True)
    fd = os.open(folder / "agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Stop("already-running", path=str(folder)) from None
        yield
    finally:
        os.close(fd)
