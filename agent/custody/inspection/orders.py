"""Sampling for inspection: the draw from this station's log, and what the inspection found, as entries."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, door, meta
from agent.custody.inspection.sample import By, Stored, draw
from agent.custody.log import opening, tiles
from agent.custody.log.reading import Log
from agent.custody.texts import LONGEST, Texts
from agent.custody.verifier import Head
from agent.errors import Reject, Stop

RESULTS = ("passed", "defect")
MOST = 10_000  # clips of a sample, and of a stratum of it
#: Of what was taken in; what only goes back to `stored`, since a target lost it, tells no digest.
_STORED = (
    "SELECT seq, clip, body FROM events WHERE kind = 'stored' AND seq <= ?"
    " AND json_extract(body, '$.sha256') IS NOT NULL ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class Order:
    """`size`: of the head; None: the last one. `first` and `last`: days of recording, both included."""

    count: int
    by: By = By.NONE
    size: int | None = None
    first: str = ""
    last: str = "9999-12-31"


@dataclass(frozen=True, slots=True)
class Sample:
    head: Head
    clips: list[Stored]

    def told(self) -> dict[str, Any]:
        head = {"origin": self.head.origin, "size": self.head.size, "root": self.head.root.hex()}
        return {**head, "clips": [asdict(clip) for clip in self.clips]}


def sample(db: sqlite3.Connection, folder: Path, order: Order) -> Sample:
    """Of the log below `folder` that the catalog calls its own. Raises Reject, Stop `log-unreadable`."""
    if not 0 < order.count <= MOST:
        raise Reject("bad-parameter", name="count", expected=f"1–{MOST}")
    head = _head(db, folder, order.size)
    clips = (clip for clip in _stored(db, head.size) if order.first <= clip.day <= order.last)
    drawn = draw(head, clips, order.by, order.count)
    if len(drawn) > MOST:
        raise Reject("bad-parameter", name="count", expected=f"≤ {MOST} clips in all strata")
    return Sample(head, drawn)


def commands(catalog: Catalog, folder: Path, texts: Texts) -> dict[str, Callable[..., Mapping[str, Any]]]:
    """By name, as in agent.custody.log.commands."""

    def drawn(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        order = _order(arguments)
        made = sample(catalog.read(), folder, order)
        said = made.told()
        facts = {**said, "clips": [clip.clip for clip in made.clips[:MOST]], **asdict(order), "who": who}
        seq = catalog.write(lambda tx: door.note(tx, "sample-drawn", None, {**facts, "size": made.head.size}))
        return {**said, "event": seq}

    def inspected(arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        clip, result, text = (arguments.get(name, "") for name in ("clip", "result", "text"))
        if result not in RESULTS:
            raise Reject("bad-parameter", name="result", expected=", ".join(RESULTS))
        if len(text) > LONGEST:
            raise Reject("bad-parameter", name="text", expected=f"at most {LONGEST} characters")
        row = catalog.read().execute("SELECT id FROM clips WHERE id = ?", (_number(clip),)).fetchone()
        if row is None:
            raise Reject("no-such-clip", clip=clip)
        # The text first: an entry that speaks of one that was never kept could not be understood.
        facts = {"result": result, "text": texts.keep(text) if text.strip() else "", "who": who}
        catalog.write(lambda tx: door.note(tx, "inspected", row[0], facts))
        return {}

    return {"audit-draw": drawn, "audit-record": inspected}


def _order(arguments: Mapping[str, str]) -> Order:
    said = dict(arguments)
    try:
        by = By(said.pop("by", By.NONE))
    except ValueError:
        raise Reject("bad-parameter", name="by", expected=", ".join(By)) from None
    size = said.pop("size", "")
    count = _number(said.pop("count", ""))
    return Order(
        count, by, _number(size) if size else None, **{k: said[k] for k in ("first", "last") if k in said}
    )


def _head(db: sqlite3.Connection, folder: Path, size: int | None) -> Head:
    number = meta.get(db, opening.META)
    if number is None:
        raise Reject("no-log-yet")
    log = Log(folder / number)
    if size is None or size == log.head.size:
        return log.head
    if not 0 < size < log.head.size:
        raise Reject("bad-parameter", name="size", expected=f"1–{log.head.size}")
    try:
        return Head(log.origin, size, tiles.root(size, log.read))
    except IndexError as error:
        raise Stop("log-unreadable", log=number, reason="tiles are not whole") from error


def _stored(db: sqlite3.Connection, size: int) -> Iterator[Stored]:
    """Of each clip the last time that it was stored."""
    found: dict[int, Stored] = {}
    for seq, clip, body in db.execute(_STORED, (size,)):
        facts = json.loads(body)
        found[clip] = Stored(seq, clip, facts["key"], facts["sha256"])
    return iter(found.values())


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise Reject("bad-parameter", name="number", expected="a whole number")
    return int(text)
