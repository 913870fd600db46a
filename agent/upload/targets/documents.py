"""What a target may be able to do besides keeping clips: keep small documents of stations.

A capability of its own, since not every server of clips has names that can be written to again. The suite
in `tests/contract/test_documents_contract.py` runs over every target that has it.
"""

from typing import Protocol, runtime_checkable

from agent.errors import Rejected
from agent.upload.targets import keys
from agent.upload.targets.base import Check, LocalReader, Target, go_on

FOLDER = "stations"  # beside the clips
LARGEST = 16 << 20  # bytes of a document
_PATH_MAX = 512  # bytes


@runtime_checkable
class Documents(Target, Protocol):
    """`path`: plain components with `/` between them, below `stations/`. Errors are those of a Target:
    Transient, TargetFull, AuthFailed, Rejected, and whatever `check` raises; it is called before anything
    is written and while much is sent."""

    def lay(self, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        """Put a document there, whole or not at all, and on disk when this returns. False, and nothing is
        changed, when there is one and it is not to be replaced. Safe to repeat."""
        ...

    def fetch(self, path: str, check: Check = go_on) -> bytes | None:
        """What lies there now, as the target reads it; None when nothing does."""
        ...


def components(path: str, data: bytes = b"") -> list[str]:
    """The folders and the name of a document. Raises Rejected `target-name` or `target-too-large`."""
    parts = keys.components(path, "")
    if len(path.encode()) > _PATH_MAX:
        raise Rejected("target-name", key=path)
    if len(data) > LARGEST:
        raise Rejected("target-too-large", key=path)
    return parts


class Pieces(LocalReader):
    """A document as a LocalReader, so that a slow line does not hold up the end of the agent."""

    def __init__(self, data: bytes, check: Check) -> None:
        self._data, self._check = memoryview(data), check

    def pread(self, length: int, offset: int) -> bytes:
        self._check()
        return bytes(self._data[offset : offset + length])
