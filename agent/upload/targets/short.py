"""What a target may be able to do besides: take short clips that are new to it with few questions.

A capability of its own, for servers that take a clip in one request and tell afterwards what they have of
it. Whatever is out of the ordinary is answered with "no": then the clip is carried by the interface that
every target has, which asks more. The suite in `tests/contract/test_short_contract.py` runs over every
target that has it.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, runtime_checkable

from agent.model import Receipt, StoredClip
from agent.upload.targets.base import Check, LocalReader, Target, go_on


@runtime_checkable
class Short(Target, Protocol):
    """Clips of exactly one part, begun as every clip: with `begin`, which asks the server nothing for these.
    Errors are those of a Target."""

    def lay_new(self, clip: StoredClip, reader: LocalReader) -> bool:
        """Take the clip and its manifest, where nothing lies under their names. False when something does:
        it is not replaced, and nothing is known of the clip. Raises NotEqual as `send` does."""
        ...

    def told(self, clips: Sequence[StoredClip], check: Check = go_on) -> Iterator[Receipt | None]:
        """What the target itself says now of each of these, in their order; without a place, for which
        the caller asks when all have been told. None when it does not say that it has just this clip with
        just this manifest."""
        ...
