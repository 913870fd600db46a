"""What would end a finding: the recordings that it misses, held against what lies somewhere.

`seen` is called for every clip of the recorder that lies there, in any order; a clip is known by its key, and
by what its name tells. The key of a clip is `<recorder>/<day>/<name>.<digest>.<ending>`.
"""

import re
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from agent.catalog import visits
from agent.catalog.findings import Open, between
from agent.model import plain

_KEYS = 10  # that are kept as the reason
_MOMENTS = timedelta(seconds=10)
_KEY = re.compile(r"[^/]+/([^/]+)/(.+)\.[0-9a-f]{16}(?:\.[^./]*)?")
_UNDATED = "undated"


class Said(Protocol):
    """What a name tells, as the drivers read it."""

    @property
    def sequence(self) -> int | None: ...
    @property
    def recorded_at(self) -> datetime | None: ...


Names = Callable[[str], Said]


@dataclass(frozen=True, slots=True)
class There:
    """A clip as its key tells it."""

    key: str
    name: str
    sequence: int | None
    at: datetime | None


def there(key: str, names: Names) -> There:
    found = _KEY.fullmatch(key)
    name = found[2] if found else ""
    said = names(f"{name}.")
    return There(key, name, said.sequence, said.recorded_at)


class Wanted(ABC):
    """`since`: the first day on which what is missing may have been recorded. `left`: how many recordings are
    still missing, as far as they can be counted; 0 ends the finding."""

    since = ""
    left = 1

    def __init__(self) -> None:
        self.keys: list[str] = []  # of what was found, a few

    @abstractmethod
    def seen(self, clip: There) -> None:
        """This clip lies there."""

    def _found(self, clip: There, left: int) -> None:
        self.left = left
        if len(self.keys) < _KEYS:
            self.keys.append(clip.key)


class _Numbers(Wanted):
    def __init__(self, finding: Open) -> None:
        super().__init__()
        self._after, self._before = _bounds(finding)
        spans = finding.facts["numbers"]
        self._missing = {number for first, last in spans for number in range(first, last + 1)}
        # What is told of a finding is bounded; what is not told of it is never found.
        self._untold = int(finding.facts["count"]) - len(self._missing)
        self.left = len(self._missing) + self._untold
        self.since = _day(self._after, self._before)

    def seen(self, clip: There) -> None:
        if clip.sequence in self._missing and _fits(clip.at, self._after, self._before):
            self._missing.discard(clip.sequence)
            self._found(clip, len(self._missing) + self._untold)


class _Meanwhile(Wanted):
    """Any clip that was recorded in between, and that this station did not collect: it was elsewhere."""

    def __init__(self, db: sqlite3.Connection, finding: Open) -> None:
        super().__init__()
        self._db = db
        self._after, self._before = _bounds(finding)
        self.since = _day(self._after, self._before)

    def seen(self, clip: There) -> None:
        if not self.left or self._after is None or self._before is None or clip.at is None:
            return
        if between(clip.at, self._after, self._before) and not _is_ours(self._db, clip.key):
            self._found(clip, 0)


class _Names(Wanted):
    """Recordings by their names, which an officer may have marked since."""

    def __init__(self, lot: Iterable[visits.Gone]) -> None:
        super().__init__()
        self._names = {plain(_stem(one.name)): one for one in lot}
        self._said = {(one.sequence, one.at): name for name, one in self._names.items() if one.sequence}
        self.left = len(self._names)
        self.since = min((one.at[:10] if one.at else "" for one in self._names.values()), default="")

    def seen(self, clip: There) -> None:
        at = clip.at.isoformat() if clip.at else None
        name = clip.name if clip.name in self._names else self._said.get((clip.sequence or 0, at))
        if name is not None and self._names.pop(name, None) is not None:
            self._found(clip, len(self._names))


class _Keys(Wanted):
    def __init__(self, keys: Iterable[str]) -> None:
        super().__init__()
        self._missing = set(keys)
        self.left = len(self._missing)
        days = [key.split("/")[1] for key in self._missing]
        self.since = min((day for day in days if day != _UNDATED), default="")

    def seen(self, clip: There) -> None:
        if clip.key in self._missing:
            self._missing.discard(clip.key)
            self._found(clip, len(self._missing))


def wanted(db: sqlite3.Connection, finding: Open) -> Wanted:
    if finding.rule == "sequence-gap":
        return _Numbers(finding)
    if finding.rule in ("vanished", "card-emptied"):
        card = str(finding.facts["fs_id"])
        lot = [one for one in visits.gone_of(db, finding.recorder, finding.docking) if one.fs_id == card]
        if finding.rule == "vanished":
            return _Names(one for one in lot if not one.collected)
        return _Keys(key for one in lot if one.collected and (key := _key(db, one.clip)))
    return _Meanwhile(db, finding)


def came(db: sqlite3.Connection, finding: Open) -> bool:
    """Whether what is missing came to this station after all: in a later docking, from another card."""
    found = wanted(db, finding)
    if isinstance(found, _Numbers):
        for clip in _later(db, finding):
            found.seen(clip)
    return not isinstance(found, _Meanwhile) and found.left == 0


def _later(db: sqlite3.Connection, finding: Open) -> Iterable[There]:
    rows = db.execute(
        "SELECT id, sequence, recorded_at FROM clips INDEXED BY clips_of_recorder"
        " WHERE recorder = ? AND id > ? AND sequence IS NOT NULL",
        (finding.recorder, finding.id),
    )
    return (There(str(row[0]), "", row[1], _moment(row[2])) for row in rows)


def _bounds(finding: Open) -> tuple[datetime | None, datetime | None]:
    after, before = finding.facts.get("after") or {}, finding.facts.get("before") or {}
    ended = _moment(after.get("ended"))
    if ended is not None:  # a segment begins where the one before ended
        return ended - _MOMENTS, _moment(before.get("recorded_at"))
    return _moment(after.get("recorded_at")), _moment(before.get("recorded_at"))


def _fits(at: datetime | None, after: datetime | None, before: datetime | None) -> bool:
    if at is None:
        return False
    if after is None or before is None:
        return True
    return between(at, after, before)


def _day(after: datetime | None, before: datetime | None) -> str:
    """Nothing is missed by a day, nor by a clock that went back in between."""
    if after is None or before is None:
        return ""
    early = after if after <= before else before - timedelta(days=31)
    return (early - timedelta(days=1)).date().isoformat()


def _is_ours(db: sqlite3.Connection, key: str) -> bool:
    return db.execute("SELECT 1 FROM clips WHERE key = ? AND own = 1", (key,)).fetchone() is not None


def _key(db: sqlite3.Connection, clip: int) -> str | None:
    row = db.execute("SELECT key FROM clips WHERE id = ?", (clip,)).fetchone()
    return row[0] if row else None


def _stem(name: str) -> str:
    return name.rpartition(".")[0] or name


def _moment(text: Any) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
