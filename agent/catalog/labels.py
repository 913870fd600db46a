"""What people say about a clip, and which cases are closed. Each word is an event with who said it and why.

Functions that take `tx` run inside `Catalog.write`.
"""

import sqlite3
from collections.abc import Mapping
from typing import Any

from agent.catalog import door, lengthened

#: What can be said, and the column that holds it. "" takes a word back.
FIELDS = {
    "category": "category",
    "case": "case_number",
    "important": "important",  # yes, no
    "officer": "officer",
    "note": "note",  # a digest: the text lies beside the log
}
_COLUMNS = ", ".join(FIELDS.values())


def of(db: sqlite3.Connection, clip: int) -> dict[str, str]:
    """Every field of a clip; "" where nobody said anything."""
    row = db.execute(f"SELECT {_COLUMNS} FROM labels WHERE clip = ?", (clip,)).fetchone()
    return dict(zip(FIELDS, map(_shown, row), strict=True)) if row else dict.fromkeys(FIELDS, "")


def put(tx: sqlite3.Connection, clip: int, said: Mapping[str, str], facts: Mapping[str, Any]) -> int | None:
    """Say `said` of a clip; `facts`: by whom and why. The number of the event; None when all of it was said
    before."""
    before = of(tx, clip)
    new = {field: word for field, word in said.items() if before[field] != word}
    if not new:
        return None
    was = {field: before[field] for field in new}
    seq = door.note(tx, "labelled", clip, {"set": new, "was": was, **facts})
    keep(tx, clip, {**before, **new}, seq)
    return seq


def keep(tx: sqlite3.Connection, clip: int, now: Mapping[str, str], seq: int) -> None:
    """All fields of a clip, as the event `seq` leaves them."""
    values = {FIELDS[field]: _kept(field, word) for field, word in now.items()}
    tx.execute(
        f"INSERT INTO labels (clip, {', '.join(values)}, event) VALUES (?{', ?' * len(values)}, ?)"
        f" ON CONFLICT (clip) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in values)},"
        " event = excluded.event",
        (clip, *values.values(), seq),
    )


def of_docking(db: sqlite3.Connection, docking: int) -> list[int]:
    """The clips that it brought."""
    rows = db.execute(
        "SELECT id FROM clips INDEXED BY clips_of_docking WHERE docking = ? AND state <> 'merged'"
        " ORDER BY id",
        (docking,),
    )
    return [int(row[0]) for row in rows]


def unlabelled(db: sqlite3.Connection, officer: str, after: int, limit: int) -> list[dict[str, Any]]:
    """Clips of `officer` ("": of any) that have neither category nor case nor note, by rising id."""
    cursor = db.execute(
        "SELECT c.id, c.state, c.officer, c.recorder, c.recorded_at, c.size, c.important FROM clips c"
        " LEFT JOIN labels l ON l.clip = c.id WHERE c.id > ? AND c.state <> 'merged'"
        " AND (? = '' OR c.officer = ?) AND coalesce(l.category, '') = ''"
        " AND coalesce(l.case_number, '') = '' AND coalesce(l.note, '') = ''"
        " ORDER BY c.id LIMIT ?",
        (after, officer, officer, limit),
    )
    names = [column[0] for column in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def case(tx: sqlite3.Connection, number: str, closed: bool, facts: Mapping[str, Any]) -> int | None:
    """Close a case, or open it again. The number of the event; None when it is so already."""
    if is_closed(tx, number) == closed:
        return None
    seq = door.note(tx, "case-closed" if closed else "case-opened", None, {"case": number, **facts})
    keep_case(tx, number, closed, seq)
    if not closed:
        lengthened.note(tx, seq)
    return seq


def keep_case(tx: sqlite3.Connection, number: str, closed: bool, seq: int) -> None:
    tx.execute(
        "INSERT INTO cases VALUES (?, ?, ?) ON CONFLICT (number) DO UPDATE"
        " SET closed = excluded.closed, event = excluded.event",
        (number, closed, seq),
    )


def is_closed(db: sqlite3.Connection, number: str) -> bool:
    row = db.execute("SELECT closed FROM cases WHERE number = ?", (number,)).fetchone()
    return bool(row and row[0])


def _shown(value: Any) -> str:
    return ("no", "yes")[value] if isinstance(value, int) else value or ""


def _kept(field: str, word: str) -> Any:
    return {"": None, "no": 0, "yes": 1}[word] if field == "important" else word
