"""Legal holds: what must be kept whatever the rules say, until somebody lifts the hold.

A hold speaks of clips that are here and of clips that are still to come. Functions that take `tx` run inside
`Catalog.write`.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.catalog import door, lengthened, retained
from agent.catalog.retained import Row
from agent.errors import Reject

CLIP, RECORDER, OFFICER, CASE = "clip", "recorder", "officer", "case"
SCOPES = (CLIP, RECORDER, OFFICER, CASE)
#: Of a clip that turned out to have another one's content, that one is held.
_ALL = (
    "SELECT id, scope, CASE scope WHEN 'clip' THEN coalesce((WITH RECURSIVE became (clip, into_) AS"
    " (SELECT id, merged_into FROM clips WHERE id = CAST(value AS INTEGER)"
    " UNION ALL SELECT id, merged_into FROM clips JOIN became ON id = into_)"
    " SELECT CAST(clip AS TEXT) FROM became WHERE into_ IS NULL), value) ELSE value END, since, until"
    " FROM holds"
)


@dataclass(frozen=True, slots=True)
class Hold:
    """`since`, `until`: of an officer's recordings, local time (ISO 8601); "" bounds nothing."""

    id: int
    scope: str
    value: str
    since: str = ""
    until: str = ""

    def covers(self, row: Row) -> bool:
        """In doubt it does."""
        if self.scope == CLIP:
            return str(row.id) == self.value
        if self.scope == RECORDER:
            return row.recorder == self.value
        if self.scope == CASE:
            return row.case == self.value
        return self.value in (row.officer, row.labelled_officer) and self._in_time(row)

    def _in_time(self, row: Row) -> bool:
        """Whether it can have been recorded then: by the recorder's clock, or at any time from a week before
        it and the docking to a day after, since no clock of a recorder proves that it was not."""
        if not (self.since or self.until) or not row.trusted:
            return True
        try:
            docked = datetime.fromtimestamp(row.docked)
            said = datetime.fromisoformat(row.recorded_at) if row.recorded_at else docked
            first, last = min(said, docked) - timedelta(days=7), max(said, docked) + timedelta(days=1)
        except (ValueError, OverflowError, OSError):
            return True
        after = not self.since or last >= datetime.fromisoformat(self.since)
        return after and (not self.until or first <= datetime.fromisoformat(self.until))


def place(tx: sqlite3.Connection, hold: Mapping[str, str], facts: Mapping[str, Any]) -> int:
    """`hold`: scope, value, since, until. Returns its number."""
    columns = {name: hold.get(name, "") for name in ("scope", "value", "since", "until")}
    number = door.note(tx, "held", _clip(tx, hold["scope"], hold["value"]), {**columns, **facts})
    tx.execute("INSERT INTO holds VALUES (?, ?, ?, ?, ?, NULL)", (number, *columns.values()))
    lengthened.note(tx, number)
    return number


def lift(tx: sqlite3.Connection, number: int, facts: Mapping[str, Any]) -> int:
    """Raises Reject `no-such-hold`. The number of the event."""
    hold = in_force_one(tx, number)
    facts = {"hold": number, **facts}
    seq = door.note(tx, "hold-lifted", _clip(tx, hold.scope, hold.value), facts)
    tx.execute("UPDATE holds SET lifted = ? WHERE id = ?", (seq, number))
    return seq


def in_force(db: sqlite3.Connection) -> list[Hold]:
    return [_hold(row) for row in db.execute(f"{_ALL} WHERE lifted IS NULL ORDER BY id").fetchall()]


def in_force_one(db: sqlite3.Connection, number: int) -> Hold:
    """Raises Reject `no-such-hold`."""
    row = db.execute(f"{_ALL} WHERE id = ? AND lifted IS NULL", (number,)).fetchone()
    if row is None:
        raise Reject("no-such-hold", hold=number)
    return _hold(row)


_MAY = {
    CLIP: "c.id = CAST(:value AS INTEGER)",
    RECORDER: "c.recorder = :value",
    OFFICER: "c.officer = :value OR l.officer = :value",
    CASE: "l.case_number = :value",
}


def may_cover(db: sqlite3.Connection, hold: Hold) -> Iterator[list[Row]]:
    """All clips that are known and that it covers, and more; in pages."""
    return retained.where(db, _MAY[hold.scope], {"value": hold.value})


@dataclass(frozen=True, slots=True)
class Standing:
    clips: int  # that it covers, of those that are known
    pending: int  # of these: confirmed at a centre that locks, and not held there yet


def standing(db: sqlite3.Connection, hold: Hold) -> Standing:
    clips = pending = 0
    for rows in may_cover(db, hold):
        for row in rows:
            if hold.covers(row):
                clips += 1
                pending += _pending(db, row.id)
    return Standing(clips, pending)


def _pending(db: sqlite3.Connection, clip: int) -> bool:
    """A target that cannot lock tells of no lock at all, and nothing is pending there."""
    row = db.execute(
        "SELECT 1 FROM deliveries WHERE clip = ? AND state = 'confirmed'"
        " AND json_extract(receipt, '$.lock.until') > 0 AND NOT json_extract(receipt, '$.lock.hold')",
        (clip,),
    ).fetchone()
    return row is not None


def covering(row: Row, holds: Iterable[Hold]) -> list[Hold]:
    return [hold for hold in holds if hold.covers(row)]


def _clip(db: sqlite3.Connection, scope: str, value: str) -> int | None:
    """That the event belongs to. One that is still to come begins with an event of its own."""
    if scope != CLIP:
        return None
    row = db.execute("SELECT id FROM clips WHERE id = ?", (int(value),)).fetchone()
    return int(row[0]) if row else None


def _hold(row: Iterable[Any]) -> Hold:
    number, scope, value, since, until = row
    return Hold(number, scope, value, since, until)
