"""What is missing of a recorder's recordings, as far as anyone has found out: the open findings.

Custody finds, upload looks for it at the centre, a custodian explains. Each of them commits here, with an
event; a finding is never rewritten and never deleted. Functions that take `tx` run inside `Catalog.write`.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from agent.catalog import door
from agent.catalog.visits import Gone
from agent.errors import Reject

OPEN, HERE, ELSEWHERE, EXPLAINED = "open", "here", "elsewhere", "explained"
RULES = ("sequence-gap", "time-gap", "vanished", "counter-back", "card-changed", "card-emptied")
MOST_NUMBERS = 32  # spans of numbers in a finding
MOST_CLIPS = 20  # clips in a finding
_APART = timedelta(days=31)  # from a recording, where the clock went back between two
_LIST = (
    "SELECT f.id AS finding, f.rule, f.recorder, f.docking, f.facts, f.found_at, f.state, f.looked,"
    " e.at AS changed_at, e.body FROM findings f JOIN events e ON e.seq = f.event"
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One that is not told yet."""

    rule: str
    docking: int
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Open:
    id: int
    rule: str
    recorder: str
    docking: int
    facts: Mapping[str, Any]
    looked: Mapping[str, Any]


def between(at: datetime, after: datetime, before: datetime, slack: timedelta = timedelta()) -> bool:
    """Whether it was recorded between two others. Where the clock went back between those, it may be late by
    the old time or early by the new one."""
    if after <= before:
        return after - slack <= at <= before + slack
    return after - slack <= at <= after + _APART or before - _APART <= at <= before + slack


def listed(lot: Sequence[Gone]) -> dict[str, Any]:
    """Clips as a finding tells them."""
    clips = [{"clip": one.clip, "sequence": one.sequence, "recorded_at": one.at} for one in lot[:MOST_CLIPS]]
    return {"clips": clips, "count": len(lot)}


def known(db: sqlite3.Connection, recorder: str) -> Any:
    """What was kept of it; None when nothing was."""
    row = db.execute("SELECT known FROM judged WHERE recorder = ?", (recorder,)).fetchone()
    return json.loads(row[0]) if row else None


def keep(
    tx: sqlite3.Connection, recorder: str, dockings: Iterable[int], now: Any, found: Iterable[Finding]
) -> list[int]:
    """These dockings are judged: their findings and the mark that says so are one transaction. What was
    judged already is left alone. Returns the findings' numbers."""
    done = [
        tx.execute("UPDATE dockings SET judged = 1 WHERE id = ? AND judged = 0", (docking,)).rowcount
        for docking in dockings
    ]
    if not all(done):
        raise sqlite3.IntegrityError(f"a docking of {recorder} was judged already")
    text = json.dumps(now, separators=(",", ":"))
    tx.execute("INSERT OR REPLACE INTO judged VALUES (?, ?)", (recorder, text))
    return [_tell(tx, recorder, finding) for finding in found]


def _tell(tx: sqlite3.Connection, recorder: str, finding: Finding) -> int:
    about = {"rule": finding.rule, "recorder": recorder, "docking": finding.docking}
    number = door.note(tx, "finding", None, {**about, **finding.facts})
    facts = json.dumps(finding.facts, ensure_ascii=False, separators=(",", ":"))
    tx.execute(
        "INSERT INTO findings (id, rule, recorder, docking, facts, found_at, state, event)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (number, finding.rule, recorder, finding.docking, facts, time.time(), OPEN, number),
    )
    return number


def opened(db: sqlite3.Connection, recorder: str) -> list[Open]:
    rows = db.execute(
        "SELECT id, rule, recorder, docking, facts, looked FROM findings INDEXED BY findings_open"
        " WHERE recorder = ? AND state = 'open' ORDER BY id",
        (recorder,),
    )
    return [
        Open(number, rule, whose, docking, json.loads(facts), json.loads(looked))
        for number, rule, whose, docking, facts, looked in rows
    ]


def recorders(db: sqlite3.Connection) -> list[str]:
    """Those with an open finding."""
    rows = db.execute(
        "SELECT DISTINCT recorder FROM findings INDEXED BY findings_open WHERE state = 'open'"
        " ORDER BY recorder"
    )
    return [str(row[0]) for row in rows]


def newest(db: sqlite3.Connection, recorder: str) -> int:
    """The number of its newest open finding; 0 when there is none."""
    row = db.execute(
        "SELECT max(id) FROM findings INDEXED BY findings_open WHERE recorder = ? AND state = 'open'",
        (recorder,),
    ).fetchone()
    return int(row[0] or 0)


def count(db: sqlite3.Connection) -> int:
    """Of open ones."""
    row = db.execute("SELECT count(*) FROM findings INDEXED BY findings_open WHERE state = 'open'")
    return int(row.fetchone()[0])


def close(tx: sqlite3.Connection, finding: int, state: str, **facts: Any) -> bool:
    """What was missing was found: HERE or ELSEWHERE. False when it is not open any more."""
    row = tx.execute("SELECT 1 FROM findings WHERE id = ? AND state = 'open'", (finding,)).fetchone()
    if row is None:
        return False
    event = door.note(tx, f"finding-{state}", None, {"finding": finding, **facts})
    tx.execute("UPDATE findings SET state = ?, event = ? WHERE id = ?", (state, event, finding))
    return True


def look(tx: sqlite3.Connection, finding: int, target: str, left: int) -> None:
    """`target` was read and does not have it, or not all of it: `left` recordings, as far as they can be
    counted. An event the first time only: it is looked for every few hours."""
    row = tx.execute("SELECT looked FROM findings WHERE id = ? AND state = 'open'", (finding,)).fetchone()
    if row is None:
        return
    looked = json.loads(row[0])
    if target not in looked:
        door.note(tx, "finding-not-elsewhere", None, {"finding": finding, "target": target, "left": left})
    looked[target] = {"at": time.time(), "left": left}
    tx.execute("UPDATE findings SET looked = ? WHERE id = ?", (json.dumps(looked), finding))


def explainable(db: sqlite3.Connection, finding: int) -> None:
    """Raises Reject `no-such-finding`, or `finding-is-closed` for one whose recordings were found."""
    row = db.execute("SELECT state FROM findings WHERE id = ?", (finding,)).fetchone()
    if row is None:
        raise Reject("no-such-finding", finding=finding)
    if row[0] not in (OPEN, EXPLAINED):
        raise Reject("finding-is-closed", finding=finding)


def explain(tx: sqlite3.Connection, finding: int, who: str, digest: str) -> None:
    """A custodian gave an explanation, which lies elsewhere and has this digest. Raises Reject."""
    explainable(tx, finding)
    event = door.note(tx, "finding-explained", None, {"finding": finding, "who": who, "text": digest})
    tx.execute("UPDATE findings SET state = ?, event = ? WHERE id = ?", (EXPLAINED, event, finding))


def rows(db: sqlite3.Connection, *, every: bool, after: int, limit: int) -> list[dict[str, Any]]:
    """Findings with a number above `after`, in their order, at most `limit`; open ones or `every` one."""
    where = "" if every else " AND f.state = 'open'"
    found = db.execute(f"{_LIST} WHERE f.id > ?{where} ORDER BY f.id LIMIT ?", (after, limit))
    return [_row(dict(row)) for row in found]


def of_recorder(db: sqlite3.Connection, recorder: str) -> list[dict[str, Any]]:
    """Every finding about it, as `rows`."""
    cursor = db.execute(f"{_LIST} WHERE f.recorder = ? ORDER BY f.id", (recorder,))
    names = [column[0] for column in cursor.description]
    return [_row(dict(zip(names, row, strict=True))) for row in cursor]


def params(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a finding's sentence is filled with."""
    spans = [str(a) if a == b else f"{a}–{b}" for a, b in facts.get("numbers", [])]
    ends = {name: (facts.get(name) or {}).get("recorded_at") or "?" for name in ("after", "before")}
    return {**facts, "numbers": spans, **ends}


def _row(row: dict[str, Any]) -> dict[str, Any]:
    body = json.loads(row.pop("body"))
    row["facts"], row["looked"] = json.loads(row["facts"]), json.loads(row["looked"])
    row["explained_by"] = body.get("who", "") if row["state"] == EXPLAINED else ""
    row["text"] = body.get("text", "") if row["state"] == EXPLAINED else ""
    return row
