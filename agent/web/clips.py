"""The list of clips: what may be asked for, and what each row tells."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.catalog import queries
from agent.errors import Reject
from agent.model import ClipState

MOST = 1000  # rows of one answer: bounds its memory and the time of its read
_DEFAULT = 100
_LARGEST_ID = 2**63 - 1


@dataclass(frozen=True, slots=True)
class ClipQuery:
    """Clips by rising id. `after`: the last id of the page before; 0 starts."""

    state: ClipState | None = None
    recorder: str | None = None
    limit: int = _DEFAULT
    after: int = 0


ClipReader = Callable[[ClipQuery], Sequence[Mapping[str, Any]]]


def catalog_clips(read: Callable[[], sqlite3.Connection]) -> ClipReader:
    """`read` gives the calling thread's read-only connection."""

    def clips(query: ClipQuery) -> Sequence[Mapping[str, Any]]:
        return queries.clips(
            read(),
            state=query.state or "",
            recorder=query.recorder or "",
            after=query.after,
            limit=query.limit,
        )

    return clips


def parse(params: Mapping[str, str]) -> ClipQuery:
    """Raises Reject `bad-parameter`, for unknown names too: a mistyped filter must not list everything."""
    known = {"state", "recorder", "limit", "after"}
    for name in params:
        if name not in known:
            raise Reject("bad-parameter", name=name, expected=", ".join(sorted(known)))
    state = params.get("state")
    if state is not None and state not in set(ClipState):
        raise Reject("bad-parameter", name="state", expected=", ".join(ClipState))
    if params.get("recorder") == "":
        raise Reject("bad-parameter", name="recorder", expected="a recorder's number")
    return ClipQuery(
        state=None if state is None else ClipState(state),
        recorder=params.get("recorder"),
        limit=whole(params, "limit", _DEFAULT, 1, MOST),
        after=whole(params, "after", 0, 0, _LARGEST_ID),
    )


def whole(params: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    """A number among the parameters. Raises Reject `bad-parameter`."""
    given = params.get(name)
    if given is None:
        return default
    # int() also takes signs, blanks and digits of every script, and its time grows with the square.
    if given.isascii() and given.isdigit() and len(given) <= 19 and least <= int(given) <= most:
        return int(given)
    raise Reject("bad-parameter", name=name, expected=f"{least}–{most}")
