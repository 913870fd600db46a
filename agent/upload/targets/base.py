"""The interface of a target: begin, position, send, finish, verify.

A target never retries, never sleeps, never touches the catalog: `agent.upload` does. The contract
suite in `tests/contract/test_target_contract.py` runs over every implementation. Several uploaders
use one target at the same time, each for another clip.

Errors: Transient(retry_after), TargetFull, AuthFailed, Rejected; NotEqual when the local file is not
what its manifest says; and whatever the reader or `check` raise. Nothing else may escape.
"""

from collections.abc import Callable, Collection, Iterator
from typing import Protocol

from agent.model import Lock, Receipt, StoredClip

#: Called at least once for every few MiB while a target works on its own (reads back, compares), and
#: right before it cuts, moves or publishes anything: somebody else may have taken over meanwhile. It
#: counts as a sign of life and raises Stopping when this uploader must end. A reader's `pread` does the same.
Check = Callable[[], None]


def go_on() -> None:
    """The check of those who have nothing to say."""


class LocalReader(Protocol):
    """The stored clip's bytes, for sending."""

    def pread(self, length: int, offset: int) -> bytes:
        """Up to `length` bytes, none only at the end. It may wait: a limit holds here, for every target."""
        ...

    def look(self, length: int, offset: int) -> bytes:
        """As `pread`, of bytes that are only compared here: no limit on what is sent holds."""
        return self.pread(length, offset)


class Target(Protocol):
    name: str
    address: str  # as configured, for people
    locking: bool  # whether it is to keep what it took under a lock, if it can

    def place(self) -> str:
        """Which store it is that stands behind the name now: another text for another one, the same
        for as long as it keeps what it took. Every receipt carries it."""
        ...

    def begin(self, clip: StoredClip, *, anew: bool = False) -> str:
        """A token (opaque text) under which this clip's transfer can be found again after a crash.
        No byte of the clip is sent. The caller commits the token before it sends the first byte.
        `anew`: the bytes that lie there were read and are not the clip's, whatever the target says of
        them: they are replaced."""
        ...

    def position(self, clip: StoredClip, token: str, check: Check = go_on) -> int:
        """Bytes that the target has safely taken, asked of the target: always on a part boundary of
        the manifest, or the whole size. Raises Transient with key `token-lost` when the target does
        not know the token any more (or 0, when that is all the same to it): begin again."""
        ...

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        """Send one part. Returns the token to keep from now on (usually the same). Raises NotEqual
        with the part's index when the bytes read do not match the manifest; the target then keeps
        nothing of this part."""
        ...

    def finish(self, clip: StoredClip, token: str, check: Check = go_on) -> None:
        """All parts are there: make them one object under the clip's key with its manifest beside it.
        Safe to repeat. Never replaces an object with other content: that raises Rejected."""
        ...

    def verify(
        self, clip: StoredClip, token: str, check: Check = go_on, *, read_back: bool = False
    ) -> Receipt:
        """What the target itself says about its bytes now. The caller compares; absence of an error
        is no receipt. `read_back`: not what it remembers of them, but the bytes themselves. Raises
        Transient with key `not-there` when it has no such clip, or not its manifest."""
        ...

    def read(self, clip: StoredClip, token: str, check: Check = go_on) -> Iterator[bytes]:
        """The clip as it lies there now, piece by piece, as fast as they are taken. Whoever takes them
        compares: nothing here does, and there may be more of them than the clip has. Where clips lie under
        names of ours an empty token will do. Raises Transient with key `not-there`."""
        ...

    def holds(self, clip: StoredClip, token: str) -> bool:
        """Whether it still has the clip as large as it is, and its manifest, as far as can be told without
        reading the clip."""
        ...

    def protect(self, clip: StoredClip, token: str) -> Lock:
        """Keep the clip and its manifest, which are there, under `clip.lock` or longer; a lock is never
        shortened. What they are kept under then, by the target's own word: nothing when it can lock nothing.
        Raises AuthFailed `target-lock-refused`."""
        ...

    def now(self) -> float:
        """Seconds since the epoch, by the target's clock."""
        ...

    def sweep(self, under_way: Collection[str], age: float) -> int:
        """Forget transfers that are not `under_way` (tokens of ours) and were begun, or written last, longer
        than `age` seconds ago by the target's own clock; return how many. Those of another station count,
        too: one that is slower than that begins anew."""
        ...

    def abort(self, clip: StoredClip, token: str) -> None:
        """Forget a transfer; what was finished stays."""
        ...
