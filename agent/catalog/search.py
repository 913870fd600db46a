"""Clips by what a person looks for: newest recordings first, those without a time last, page by page.

A page costs a bounded number of rows, however many clips there are: where few of them fit it is short, and
the next one goes on behind the last row that was looked at.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from agent.catalog.documents import path_fields
from agent.model import ClipState

_CHUNK = 1_000  # rows looked at between two looks at how many fit
_MOST = 10_000  # rows looked at for one page: some 50 ms
_WHOLE = 2_000  # of which all is read, to see whether they may be told: some 100 ms
_FEW = 5_000  # labels that lead to clips: these are put into their order for each chunk anew
_COLUMNS = (
    "c.id, c.state, c.recorder, coalesce(nullif(l.officer, ''), c.officer) AS officer, c.path, c.size,"
    " c.kind, coalesce(l.important, c.important) AS important, c.partial, c.assigned, c.recorded_at,"
    " c.time_source, coalesce(l.category, '') AS category, coalesce(l.case_number, '') AS case_number,"
    " c.docking, d.slot, d.started AS docked_at, d.clock_trusted AS docked_trusted, c.stored_at,"
    " lower(hex(c.sha256)) AS sha256, c.merged_into"
)
_ROWS = (
    f"SELECT {_COLUMNS} FROM clips c JOIN dockings d ON d.id = c.docking LEFT JOIN labels l ON l.clip = c.id"
    " WHERE c.id IN ({}) ORDER BY c.recorded_at DESC, c.id DESC"
)
#: Of labels k, each as the index of it has it.
_LABELLED = {
    "case": "k.case_number = :case AND k.case_number <> ''",
    "officer": "k.officer = :officer AND k.officer <> ''",
    "category": "k.category = :category AND k.category <> ''",
    "important": "k.important = 1",
}
_FLAGS = ("important", "partial", "assigned", "docked_trusted")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is empty asks for nothing. Clips that were merged into others are told only when asked for."""

    state: str = ""
    recorder: str = ""
    officer: str = ""  # as a label says, or else the recorder
    important: bool | None = None
    category: str = ""
    case: str = ""
    since: str = ""  # by the recorder's clock, its local time in ISO 8601 without a zone
    until: str = ""  # the same, without this moment itself


class Position(NamedTuple):
    """Of the last row that was looked at. `at`: when it was recorded, "" where nobody knows."""

    at: str
    id: int


BEGIN = Position("9999-12-31T23:59:59", 2**63 - 1)


class Page(NamedTuple):
    rows: list[dict[str, Any]]
    next: Position | None  # None: that was the last one


def page(
    db: sqlite3.Connection,
    wanted: Wanted,
    after: Position = BEGIN,
    limit: int = 100,
    shown: Callable[[Mapping[str, Any]], bool] = lambda row: True,
) -> Page:
    """At most `limit` clips behind `after`. `shown`: whether a row that fits may be told to who asks."""
    found: list[dict[str, Any]] = []
    looked, read, last = 0, 0, after
    for chunk in _chunks(db, wanted, after):
        for row in _whole(db, [id_ for id_, _, fits in chunk if fits], limit):
            if len(found) == limit or read == _WHOLE:
                return Page(found, last)
            read += 1
            last = Position(row["recorded_at"] or "", row["id"])
            if shown(row):
                found.append(row)
        looked += len(chunk)
        last = Position(chunk[-1][1] or "", chunk[-1][0])
        if looked >= _MOST or len(found) == limit:
            return Page(found, last)
    return Page(found, None)


def one(db: sqlite3.Connection, clip: int) -> dict[str, Any] | None:
    """As `page` tells it."""
    return next(iter(_rows(db, [clip])), None)


Near = tuple[int, str | None, int]  # id, recorded_at, whether it fits


def _chunks(db: sqlite3.Connection, wanted: Wanted, after: Position) -> Iterator[list[Near]]:
    """In their order; each chunk as far as it goes."""
    sources = _sources(db, wanted)
    for dated in (True, False):
        if (not dated and (wanted.since or wanted.until)) or (dated and not after.at):
            continue
        at = after if bool(after.at) == dated else BEGIN
        query, values = _near(wanted, sources, dated=dated)
        while chunk := db.execute(query, {**values, "at": at.at, "id": at.id}).fetchall():
            yield [tuple(row) for row in chunk]
            at = Position(chunk[-1][1] or "", chunk[-1][0])


def _near(wanted: Wanted, sources: list[str], *, dated: bool) -> tuple[str, dict[str, Any]]:
    """What walks an index behind (:at, :id), and says of each clip there whether it fits."""
    time = _times(wanted) if dated else "c.recorded_at IS NULL AND c.id < :id"
    order = " ORDER BY c.recorded_at DESC, c.id DESC" if dated else " ORDER BY c.id DESC"
    walks = [
        f"SELECT * FROM (SELECT c.id, c.recorded_at FROM {source} AND {time}{order} LIMIT {_CHUNK})"
        for source in sources
    ]
    near = f"SELECT * FROM ({' UNION '.join(walks)}){order.replace('c.', '')} LIMIT {_CHUNK}"
    fits, values = _conditions(wanted)
    query = (
        f"SELECT n.id, n.recorded_at, ({fits}) AS fits FROM ({near}) n CROSS JOIN clips c ON c.id = n.id"
        f" LEFT JOIN labels l ON l.clip = c.id{order.replace('c.', 'n.')}"
    )
    return query, values


def _times(wanted: Wanted) -> str:
    bounds = ["(c.recorded_at, c.id) < (:at, :id)"]
    bounds += ["c.recorded_at >= :since"] if wanted.since else []
    bounds += ["c.recorded_at < :until"] if wanted.until else []
    return " AND ".join(bounds)


def _sources(db: sqlite3.Connection, wanted: Wanted) -> list[str]:
    """The index that leads, by what there is least of. Labels lead only where they are few: they know nothing
    of times."""

    def few(what: str) -> bool:
        query = f"SELECT 1 FROM labels k WHERE {_LABELLED[what]} LIMIT {_FEW + 1}"
        return len(db.execute(query, {what: getattr(wanted, what)}).fetchall()) <= _FEW

    def labelled(what: str) -> str:
        return f"labels k CROSS JOIN clips c ON c.id = k.clip WHERE {_LABELLED[what]}"

    if wanted.case and few("case"):
        return [labelled("case")]
    if wanted.recorder:
        return ["clips c INDEXED BY clips_of_recorder_by_time WHERE c.recorder = :recorder"]
    if wanted.officer and few("officer"):
        of_recorder = "clips c INDEXED BY clips_of_officer_by_time WHERE c.officer = :officer"
        return [of_recorder, labelled("officer")]
    if wanted.category and few("category"):
        return [labelled("category")]
    if wanted.important and few("important"):
        return ["clips c INDEXED BY clips_important_by_time WHERE c.important = 1", labelled("important")]
    if wanted.state:
        return ["clips c INDEXED BY clips_in_state_by_time WHERE c.state = :state"]
    return ["clips c INDEXED BY clips_by_time WHERE true"]


def _conditions(wanted: Wanted) -> tuple[str, dict[str, Any]]:
    """All of them: what leads is only where to begin, and a label may say otherwise than a recorder."""
    said: dict[str, tuple[str, Any]] = {
        "state": ("c.state = :state", wanted.state),
        "recorder": ("c.recorder = :recorder", wanted.recorder),
        "officer": ("coalesce(nullif(l.officer, ''), c.officer) = :officer", wanted.officer),
        "category": ("l.category = :category", wanted.category),
        "case": ("l.case_number = :case", wanted.case),
        "since": ("true", wanted.since),
        "until": ("true", wanted.until),
    }
    used = {name: part for name, part in said.items() if part[1]}
    parts = [part for part, _ in used.values()]
    values = {name: value for name, (_, value) in used.items()}
    if wanted.important is not None:
        parts.append("coalesce(l.important, c.important) = :important")
        values["important"] = int(wanted.important)
    if wanted.state != ClipState.MERGED:
        parts.append("c.state <> 'merged'")
    return " AND ".join(f"coalesce({part}, 0)" for part in parts), values


def _whole(db: sqlite3.Connection, ids: list[int], at_once: int) -> Iterator[dict[str, Any]]:
    """No more of them than a page may need, as a rule."""
    for begin in range(0, len(ids), at_once + 1):
        yield from _rows(db, ids[begin : begin + at_once + 1])


def _rows(db: sqlite3.Connection, ids: list[int]) -> list[dict[str, Any]]:
    rows = db.execute(_ROWS.format(", ".join("?" * len(ids))), ids).fetchall()
    return [_told(dict(row)) for row in rows]


def _told(row: dict[str, Any]) -> dict[str, Any]:
    row.update(path_fields(row["path"]))
    return row | {flag: bool(row[flag]) for flag in _FLAGS}
