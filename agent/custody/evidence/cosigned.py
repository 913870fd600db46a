"""Which countersigned heads of the log go into a package, and the proofs that its head goes on from them."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.custody.anchors import Countersigned
from agent.custody.log import witness
from agent.custody.log.reading import Log
from agent.custody.verifier import Head, Invalid, Key, Note
from agent.errors import Stop

Kept = tuple[Key, Note]  # who countersigned, and the head


def choose(db: sqlite3.Connection, custody: Path, number: str, last: int) -> tuple[Kept, ...]:
    """Of each witness the first head that has event `last`, so that the time is the earliest one, and the
    newest head. Raises Stop `log-unreadable` for a kept head that is none any more."""
    found = dict[Key, list[Note]]()
    for place, note in witness.kept(custody, int(number)):
        if isinstance(note, Invalid):
            raise Stop("log-unreadable", log=number, reason=f"{place}: {note}")
        by = witness.known(db, number, place.rpartition("-")[2])
        if by is not None:  # else no `log keep` took it in
            found.setdefault(by, []).append(note)
    return tuple((by, note) for by, notes in found.items() for note in _telling(notes, last))


def prove(kept: tuple[Kept, ...], log: Log) -> Iterator[Countersigned]:
    """With a proof each. Raises Stop `log-unreadable` where the log does not go on from one."""
    for by, note in kept:
        head = Head.parse(note.text)
        try:
            made = Countersigned(by, tuple(log.consistency(head.size)), note)
            made.check(log.key, log.head)
        except (ValueError, IndexError) as error:
            raise Stop("log-unreadable", log=log.folder.name, reason=str(error)) from error
        yield made


def _telling(notes: list[Note], last: int) -> list[Note]:
    """`notes` from the shortest head to the longest."""
    covering = (note for note in notes if Head.parse(note.text).size >= last)
    first = next(covering, notes[-1])
    return [first] if first is notes[-1] else [first, notes[-1]]
