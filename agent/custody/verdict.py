"""What a check says: a line for each thing that holds or does not, in Chinese and in English."""

import json
import time
from dataclasses import dataclass
from typing import Any

from agent.custody.verifier import Invalid


@dataclass(frozen=True)
class Said:
    """One line of the verdict."""

    holds: bool
    zh: str
    en: str

    @property
    def line(self) -> str:
        mark = "[成立 holds]" if self.holds else "[不成立 WRONG]"
        return f"{mark} {plainly(self.zh)}\n    {plainly(self.en)}"


def plainly(text: str) -> str:
    """On one line, and nothing that writes over others."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else f"\\u{ord(each):04x}" for each in text)


def parsed(data: bytes) -> dict[str, Any]:
    """Raises Invalid."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Invalid("this is no JSON object")
    return found


def when(seconds: float) -> str:
    """Since the epoch, in UTC; as it is where no calendar has it."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (ValueError, OverflowError, OSError):
        return f"@{seconds}"
