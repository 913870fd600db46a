"""A central store as the archive needs it: everything that lies there, and how it goes for good.

Paths are those of the store, with `/` between their parts: `clips/…`, `stations/…`, `certificates/…`. Errors
are those of a target: Transient, TargetFull, AuthFailed, Rejected.
"""

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from agent.model import Lock

LARGEST = 64 << 20  # bytes of a document or a manifest that are read
CLIPS, STATIONS, CERTIFICATES = "clips", "stations", "certificates"


class Entry(NamedTuple):
    path: str
    size: int  # bytes, of all versions


class Store(Protocol):
    address: str

    def place(self) -> str:
        """Which store it is. Raises Transient when it does not say."""
        ...

    def now(self) -> float:
        """Seconds since the epoch, by the store's clock."""
        ...

    def below(self, folder: str, after: str = "") -> list[str]:
        """The names of files and folders directly below `folder`, in order; those behind `after`."""
        ...

    def entries(self, folder: str) -> Iterator[Entry]:
        """Every file below `folder`, also one that only looks deleted; those of one folder together."""
        ...

    def read(self, path: str, *, hidden: bool = False) -> bytes | None:
        """None when nothing lies there. `hidden`: the latest content, also of what only looks deleted."""
        ...

    def lay(self, path: str, data: bytes) -> bool:
        """Write a document, whole and on disk. False, and nothing is changed, when there is one."""
        ...

    def exists(self, path: str) -> bool:
        """Whether any version of it has content."""
        ...

    def kept(self, path: str) -> Lock:
        """Under what the store itself keeps any version of it."""
        ...

    def erase(self, path: str) -> int:
        """Every version, and on disk when this returns: how many there were. Legal holds end. Raises
        Transient `archive-comes-back` when something is there afterwards."""
        ...
