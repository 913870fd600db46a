"""The list of what may go, as a file: lines of JSON.

The first tells of the list, each other one a clip. Its root is the SHA-256 of the lines of the clips: whoever
erases by it erases these clips, and no others.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent import durable
from agent.archive.plan import Going, Plan
from agent.errors import Reject

FORMAT = 1


@dataclass(frozen=True, slots=True)
class ExpiryList:
    """`root`: SHA-256 in hex. `of`: clips in the store."""

    root: str
    place: str
    made_at: float
    clips: int
    size: int  # bytes of these clips
    of: int
    data: bytes  # the file

    @property
    def percent(self) -> float:
        return 100 * self.clips / self.of if self.of else 0.0

    def __iter__(self) -> Iterator[Going]:
        return (Going(**json.loads(line)) for line in self.data.splitlines()[1:])


def write(plan: Plan, path: Path) -> str:
    """Returns the root."""
    lines = b"".join(_line(asdict(one)) for one in plan.going)
    head = {"format": FORMAT, "place": plan.place, "made_at": plan.made_at, "clips": len(plan.going)}
    head |= {"bytes": plan.size, "of": plan.clips, "root": hashlib.sha256(lines).hexdigest()}
    durable.write_file(path, _line(head) + lines)
    return str(head["root"])


def read(data: bytes) -> ExpiryList:
    """Raises Reject `archive-list` when it is none, or not whole."""
    first, _, lines = data.partition(b"\n")
    try:
        head = json.loads(first)
        root, count = hashlib.sha256(lines).hexdigest(), lines.count(b"\n")
        if head["format"] != FORMAT or (root, count) != (head["root"], head["clips"]) or head["of"] < count:
            raise ValueError(root)
        found = ExpiryList(root, head["place"], head["made_at"], count, head["bytes"], head["of"], data)
        for _ in found:
            pass
    except (KeyError, TypeError, ValueError, RecursionError):
        raise Reject("archive-list") from None
    return found


def _line(facts: dict[str, Any]) -> bytes:
    text = json.dumps(facts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode("utf-8", "backslashreplace") + b"\n"
