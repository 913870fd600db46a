"""What a file's name says: who recorded it, when, as which clip, and whether it matters.

A name is a claim, never an identity: two recorders may write the same one. Whatever no pattern fits
is pattern F, and is collected like any other.
"""

import re
from dataclasses import dataclass
from datetime import datetime

from drivers.profile import Rules, rules

UNKNOWN = "F"
_NUMBER = re.compile(r"[0-9]{1,18}")  # what the catalog can hold
_FIELDS = ((0, 4), (4, 6), (6, 8), (8, 10), (10, 12), (12, 14))


@dataclass(frozen=True, slots=True)
class ParsedName:
    """As written: numbers are neither checked nor sanitised. `recorded_at` is the recorder's local time."""

    pattern: str = UNKNOWN
    recorder: str = ""
    officer: str = ""
    recorded_at: datetime | None = None  # None also when the name holds an impossible time
    sequence: int | None = None
    important: bool = False


def parse(name: str, known: Rules | None = None) -> ParsedName:
    """`name` is the last part of a path. Never raises, whatever the name is."""
    known = known or rules()
    stem = name.rpartition(".")[0] or name
    for candidate in known.names:
        if found := candidate.regex.fullmatch(stem):
            return _said(candidate.pattern, found.groupdict())
    return ParsedName(important=any(mark.fullmatch(stem) for mark in known.important_names))


def _said(pattern: str, groups: dict[str, str | None]) -> ParsedName:
    sequence = groups.get("sequence") or ""
    return ParsedName(
        pattern,
        groups.get("recorder") or "",
        groups.get("officer") or "",
        _time(groups.get("time") or ""),
        int(sequence) if _NUMBER.fullmatch(sequence) else None,
        bool(groups.get("important")),
    )


def _time(text: str) -> datetime | None:
    digits = re.sub(r"[^0-9]", "", text)
    try:
        year, month, day, hour, minute, second = (int(digits[a:b]) for a, b in _FIELDS)
        return datetime(year, month, day, hour, minute, second)
    except ValueError:  # no such day, or the pattern has no time
        return None
