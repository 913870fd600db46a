"""What `doctor` says of one thing that it looked at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from agent.status.shape import IssueShape


class Level(StrEnum):
    OK = "ok"
    INFO = "info"  # nothing is wrong; somebody should know
    WARN = "warn"  # collecting works, something is missing
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """`key` has its sentence in the section `doctor` of the words; that of a health issue in `problems`."""

    check: str
    level: Level
    key: str
    params: Mapping[str, Any] = field(default_factory=dict)
    issue: IssueShape | None = None  # of the agent, which knows who acknowledged it
