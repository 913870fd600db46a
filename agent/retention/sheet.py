"""Many clips, of each something else: what a table of labels says. A line that is refused is told, and keeps
no other line back; whoever wants all or nothing has the lines checked first.
"""

import json
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.catalog import chosen, labels, reconfirm
from agent.errors import Reject
from agent.retention import arguments as read
from agent.retention.book import Book
from agent.retention.labelling import refuse

MOST = 200  # lines of one command, which share one commit: bounds how long a docking waits


@dataclass(frozen=True, slots=True)
class Line:
    clip: int
    said: Mapping[str, str]


Lines = Mapping[int, Line]  # by their numbers, from 0
Refused = dict[int, Reject]


def lines(db: sqlite3.Connection, text: str) -> tuple[dict[int, Line], Refused]:
    """Of a JSON list of [clip, {field: word}]. Raises Reject when it is none."""
    good, refused = dict[int, Line](), Refused()
    for number, (clip, said) in enumerate(_told(text)):
        try:
            words = {field: read.field(field, word) for field, word in said.items()}
            good[number] = Line(chosen.by_id(db, [clip])[0].id, words)
        except Reject as error:
            refused[number] = error
    return good, refused


def check(db: sqlite3.Connection, book: Book, given: Lines, *, shortens: bool) -> Refused:
    """`shortens`: whether a line may let its clip go earlier."""
    return _each(db, book, given, shortens, lambda line: False)[1]


def put(
    tx: sqlite3.Connection, book: Book, given: Lines, facts: Mapping[str, Any], *, shortens: bool
) -> tuple[int, Refused]:
    """(how many clips were labelled otherwise before, what is refused): checked again inside the commit."""

    def one(line: Line) -> bool:
        return labels.put(tx, line.clip, line.said, facts) is not None

    changed, refused = _each(tx, book, given, shortens, one)
    reconfirm.soon(tx, changed)  # they may have to be locked for longer
    return len(changed), refused


def _each(
    db: sqlite3.Connection, book: Book, given: Lines, shortens: bool, put: Callable[[Line], bool]
) -> tuple[list[int], Refused]:
    keeping, now = book.fresh(db), time.time()
    changed, refused = list[int](), Refused()
    for number, line in given.items():
        try:
            refuse(db, keeping, line.clip, line.said, lengthens_only=not shortens, now=now)
        except Reject as error:
            refused[number] = error
            continue
        if put(line):
            changed.append(line.clip)
    return changed, refused


def _told(text: str) -> list[tuple[int, dict[str, str]]]:
    try:
        told = [(int(clip), dict(said)) for clip, said in json.loads(text)]
        good = all(
            set(said) <= set(labels.FIELDS) and all(isinstance(word, str) for word in said.values())
            for _, said in told
        )
    except (ValueError, TypeError, RecursionError):
        good = False
    if not (good and 0 < len(told) <= MOST):
        raise Reject("bad-parameter", name="lines", expected=f"1-{MOST} of [clip, {{field: word}}]")
    return told
