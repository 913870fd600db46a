"""A verified recording, copied out of the store as one file: whole and the same, or not at all."""

import hashlib
import os
import stat
import tempfile
from pathlib import Path

from agent import durable
from agent.errors import Stop

_BLOCK = 1 << 20


def hand_out(clip: int, source: Path, sha256: str, to: Path) -> None:
    """On the disk as `to` when this returns. What is read is hashed while it is copied; nothing is replaced.

    Raises Stop `clip-differs` when it is not the recording that the catalog describes, FileExistsError when
    there is something at `to`, OSError."""
    fd, name = tempfile.mkstemp(prefix=f".{to.name[:100]}.", dir=to.parent)
    aside = Path(name)
    try:
        with os.fdopen(fd, "wb") as writer:
            found = _copied(source, writer.fileno())
            if found != sha256:
                raise Stop(
                    "clip-differs", clip=clip, file=str(source), reason=f"SHA-256 {found}, not {sha256}"
                )
            os.fsync(writer.fileno())
        durable.rename_noreplace(aside, to)
        durable.sync_folder(to.parent)
    finally:
        aside.unlink(missing_ok=True)  # where it has its name there is nothing here any more


def _copied(source: Path, to: int) -> str:
    digest = hashlib.sha256()
    # Without waiting for whoever writes a pipe, if it is one.
    with durable.open_fd(source, os.O_RDONLY | os.O_NONBLOCK) as fd:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise OSError(f"{source} is no file")
        while block := os.read(fd, _BLOCK):
            digest.update(block)
            while block:
                block = block[os.write(to, block) :]
    return digest.hexdigest()
