"""The list of findings: what may be asked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agent.errors import Reject
from agent.web.clips import whole

MOST = 200  # rows of one answer: each holds up to some KiB
_LARGEST_ID = 2**63 - 1

#: (every one, else those that are open; above this number; at most so many) → rows by rising number.
FindingReader = Callable[[bool, int, int], Sequence[Mapping[str, Any]]]


def parse(params: Mapping[str, str]) -> tuple[bool, int, int]:
    """What a FindingReader takes. Raises Reject `bad-parameter`."""
    known = {"all", "limit", "after"}
    for name in params:
        if name not in known:
            raise Reject("bad-parameter", name=name, expected=", ".join(sorted(known)))
    every = whole(params, "all", 0, 0, 1) == 1
    return every, whole(params, "after", 0, 0, _LARGEST_ID), whole(params, "limit", MOST, 1, MOST)
