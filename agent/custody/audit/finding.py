"""What an audit says is wrong: a stable key and its place; `agent.words` makes the sentence."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Finding:
    """`key` has its sentence in the section `audit` of `agent/words`; `params` name the place: log, file,
    line, event."""

    key: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Looked:
    """How much was looked at. `progress` is called often. `apart`: of the heads, those that left the station
    in a past that it says it has no more, since an older copy of its disk was restored."""

    progress: Callable[["Looked"], None] = lambda looked: None
    logs: int = 0
    heads: int = 0
    entries: int = 0
    events: int = 0
    apart: int = 0
