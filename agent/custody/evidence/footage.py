"""A recording as it lies in the store, opened for who looks at it: behind the entry that `viewed` commits."""

import os
import stat
from pathlib import Path

from agent.errors import Reject

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Not waiting: what is no file any more may be a pipe that nobody writes to.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def opened(store: Path, clip: int, key: str) -> int:
    """A descriptor of the file `key`, which the caller closes. No link is followed on the way to it. Raises
    Reject `clip-not-here`."""
    *folders, name = key.split("/")
    try:
        at = os.open(store / "clips", _FOLDER)
        try:
            for folder in folders:
                at = _below(at, folder)
            found = os.open(_plain(name), _FILE, dir_fd=at)
        finally:
            os.close(at)
    except OSError as error:
        raise Reject("clip-not-here", clip=clip, state=error.strerror or str(error)) from error
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise Reject("clip-not-here", clip=clip, state="no file")
    return found


def _below(at: int, folder: str) -> int:
    """In exchange for `at`, which is closed unless this raises."""
    below = os.open(_plain(folder), _FOLDER, dir_fd=at)
    os.close(at)
    return below


def _plain(name: str) -> str:
    if name in ("", ".", ".."):
        raise FileNotFoundError(f"no name of the store: {name!r}")
    return name
