"""Tells one target the station's log, below `stations/<id>/custody/`."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from agent.errors import Transient
from agent.upload.generation import Generation
from agent.upload.targets.base import Check
from agent.upload.targets.documents import Documents

_GAP = 8  # numbers in a row that nothing lies under
_LONGEST = 60.0  # seconds of a turn: a long log is told in several


class Document(Protocol):
    @property
    def path(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def grows(self) -> bool: ...


class Step(Protocol):
    """As of agent.custody.log.leaving."""

    @property
    def documents(self) -> Sequence[Document]: ...
    @property
    def log(self) -> int: ...
    @property
    def size(self) -> int: ...


#: (number of a log, its entries that are told) → what is to be told then.
Leaving = Callable[[int, int], Iterable[Step]]


class AnotherLog(Exception):
    """What lies there does not go on as this log does: somebody writes in this station's name, it was
    restored from an old copy, or its past was altered. The path."""


@dataclass(frozen=True, slots=True)
class LogReport:
    station: str
    generation: Generation
    target: Documents
    check: Check
    leaving: Leaving
    monotonic: Callable[[], float] = time.monotonic

    def turn(self, place: str) -> None:
        """Raises AnotherLog."""
        end = self.monotonic() + _LONGEST
        for step in self.leaving(*_told(self.generation.read(), self.target.name, place)):
            for document in step.documents:
                self._lay(document)
            self._keep(place, step)
            if self.monotonic() >= end:
                break

    def _lay(self, document: Document) -> None:
        """What lies there already is only ever added to."""
        path, data = f"{self.station}/custody/{document.path}", document.data
        there = self._there(path, document) if document.grows else None
        if there == data or self.target.lay(path, data, replace=there is not None, check=self.check):
            return
        self._there(path, document)

    def _there(self, path: str, document: Document) -> bytes | None:
        """What lies there, of which the document is the same, or more. Raises AnotherLog."""
        there = self.target.fetch(path, self.check)
        begins = there is None or document.data.startswith(there)
        if begins and (document.grows or there == document.data):
            return there
        if there is None or self.target.fetch(path, self.check) != there:
            raise Transient("target-answer", why="log")  # a bit that flipped on its way, perhaps
        raise AnotherLog(path)

    def _keep(self, place: str, step: Step) -> None:
        key, value = _key(self.target.name, place), json.dumps([step.log, step.size])
        self.check()
        self.generation.write(
            lambda tx, _: tx.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (key, value))
        )


def highest(station: str, target: Documents, above: int, check: Check) -> int:
    """The largest number above this one under which `target` has a log of the station, or this one. Numbers
    have gaps where a log began and never got its first head."""
    number = above
    while number - above < _GAP:
        number += 1
        if target.fetch(f"{station}/custody/{number}/key.pub", check) is not None:
            above = number
    return above


def _told(db: sqlite3.Connection, target: str, place: str) -> tuple[int, int]:
    """(number of the log, its entries) that this place has; 0 and 0 when it has nothing."""
    row = db.execute("SELECT value FROM meta WHERE key = ?", (_key(target, place),)).fetchone()
    log, size = json.loads(row[0]) if row else (0, 0)
    return int(log), int(size)


def _key(target: str, place: str) -> str:
    return f"log:{target}:{place}"
