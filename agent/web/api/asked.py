"""Whom the interface asks. Every callable answers within moments."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, NamedTuple

from agent.model import Problem
from agent.status.snapshot import Sources
from agent.web.commands import Commands
from agent.web.findings import FindingReader


class TargetFact(NamedTuple):
    name: str
    kind: str  # s3, tus, folder
    problem: Problem | None  # why it takes no clips now


class LogHead(NamedTuple):
    """Of the station's log: its name, how many entries it has, the root of its tree in hex, and the signed
    note itself."""

    origin: str
    size: int
    root: str
    note: str


@dataclass(frozen=True, slots=True)
class Asked:
    sources: Sources
    read: Callable[[], sqlite3.Connection]  # the calling thread's, for reading
    units_of: Callable[[str], frozenset[str]]  # of an officer, by every roster that counts
    targets: Callable[[], Sequence[TargetFact]]
    head: Callable[[], LogHead | None]  # None: there is none (yet)
    receipt: Callable[[int], bytes]  # of a docking. Raises Reject
    commands: Commands  # raise Reject
    explain: Callable[[int], Mapping[str, Any]]  # why a clip is kept, as retention has it. Raises Reject
    opened: Callable[[int, str], int]  # (clip, its key) → a descriptor to read from. Raises Reject
    handin: Callable[[date], Mapping[str, Any]]  # a day's report: `tallies`, `late`
    findings: FindingReader
    clock: Callable[[str], Mapping[str, Any] | None]  # of a recorder; None: it was never compared
    facts: Callable[[], Mapping[str, Any]]  # the configuration in force, without its secrets
