"""The interface of a driver: what the station needs to know of any recorder.

A driver reads. It never mounts, never opens a raw device node, never erases on its own, and knows
nothing of slots, catalog or threads. Everything it returns is plain data of `agent.model`, its texts (but
for paths, which are raw) fit for screens and for UTF-8, and of bounded length.

Who calls a session counts its answers as progress. A call that may take longer than a second or so (to list
a card) says by `Port.beat` that it goes on: what shows no progress is taken for stuck and disconnected.
The contract suite in `tests/contract/test_driver_contract.py` runs over every driver; a new family
is done when it passes.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Protocol, runtime_checkable

from agent.model import Condition, Device, Identity, Port, Skipped, SourceClip


class Reader(Protocol):
    """One open file of a recorder. Positional, so that resume, spot checks and the search for the
    readable rest of a damaged file need no seek state."""

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Fill `buffer` from `offset`; return the bytes read, 0 only at the end of the file.

        Raises SourceUnreadable (the medium fails in this range; the file offset and length asked
        for are in it) and DeviceGone (pulled)."""
        ...

    def ahead(self, offset: int, length: int) -> None:
        """A hint that these bytes will be read soon. Never fails; does nothing where it is no help."""
        ...

    def stat(self) -> tuple[int, int]:
        """(size in bytes, mtime in ns) as they are now. Raises DeviceGone."""
        ...

    def close(self) -> None: ...


class Session(Protocol):
    """One mounted volume of one docked recorder. Used by one thread. Raises DeviceGone and Stopping
    anywhere."""

    def identity(self) -> Identity: ...

    def clips(self) -> Iterator[SourceClip]:
        """Every regular file that is to be collected, in no order. Links are never followed."""
        ...

    def skipped(self) -> list[Skipped]:
        """What `clips` passed over, with the reason; complete once `clips` is exhausted."""
        ...

    def open(self, clip: SourceClip) -> Reader:
        """Raises SourceUnreadable when the file cannot be opened, Reject when it is no file any more."""
        ...

    def close(self) -> None: ...


@runtime_checkable
class Erasable(Session, Protocol):
    """A capability: a session whose recorder can be erased from, if its port can."""

    def erase(self, files: Sequence[tuple[str, int, int]]) -> Sequence[tuple[str, str]]:
        """`agent.model.Emptied.erase`. Every reader must be closed. Afterwards `clips` lists anew. Raises
        Unsupported when the port cannot."""
        ...


@runtime_checkable
class Telling(Session, Protocol):
    """A capability: a session that can tell whether its recorder may go on duty again."""

    def condition(self) -> Condition:
        """As it is now; None for what this recorder does not tell. Raises OSError, DeviceGone."""
        ...


class Driver(Protocol):
    name: ClassVar[str]

    def match(self, device: Device) -> int | None:
        """How well this driver fits, higher wins; None when it does not. Pure: no I/O."""
        ...

    def open(self, device: Device, port: Port) -> Session:
        """Raises Locked, Unsupported, DeviceGone."""
        ...
