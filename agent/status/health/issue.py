"""One thing that is wrong, and what finds it."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    INFO = "info"  # nothing is wrong with the station; somebody should know
    WARNING = "warning"  # collecting goes on; somebody should look within days
    CRITICAL = "critical"  # collecting or keeping clips is in danger now


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """Somebody knows of it; it is no better for that."""

    by: str
    at: float  # seconds since the epoch
    note: str  # "" when it was erased


@dataclass(frozen=True, slots=True)
class Issue:
    """`key` has its sentence in `agent/words`. `subject` tells two issues of one key apart (a target's
    name); figures in `params` may change without it becoming another issue."""

    key: str
    severity: Severity
    params: Mapping[str, Any] = field(default_factory=dict)
    subject: str = ""
    since: float = 0.0  # seconds since the epoch; the board fills it in
    acknowledged: Acknowledged | None = None  # the board fills it in


Check = Callable[[], Iterable[Issue]]
