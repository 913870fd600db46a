"""The roster of the configuration, in the catalog: so that it outlives a broken file, and readers without an
agent see what the agent goes by.

Rules look at units and sources. A roster that takes one away would shorten something, at once and by one
person: so what the roster before said protects beside it for the cooling-off time.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import astuple, dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from agent.catalog import Catalog, rosters
from agent.config.retention import SOURCES
from agent.config.roster import Line, Roster, spelt

_EMPTY = "[]"
_NOTHING = frozenset[str]()
_RECORDER = frozenset(SOURCES[:1])


@dataclass(frozen=True, slots=True)
class Protecting:
    """All that any roster says which protects now: of every day, since a recording may come late."""

    rosters: tuple[Roster, ...] = ()

    def units_of(self, officer: str) -> frozenset[str]:
        return _NOTHING.union(*(roster.units.get(spelt(officer), _NOTHING) for roster in self.rosters))

    def sources_of(self, recorder: str) -> frozenset[str]:
        """One that a roster does not know is a recorder."""
        found = (roster.sources.get(spelt(recorder), _RECORDER) for roster in self.rosters)
        return _NOTHING.union(*found) or _RECORDER


def take_over(catalog: Catalog, roster: Roster | None) -> None:
    """At every start and every change of the configuration. None: no file is good, the last one stays."""
    if roster is None:
        return
    lines = _plain(roster)
    if (rosters.in_force(catalog.read()) or _EMPTY) != lines:
        catalog.write(lambda tx: _begin(tx, lines, _facts(roster)))


def _begin(tx: sqlite3.Connection, lines: str, facts: Mapping[str, Any]) -> None:
    if rosters.in_force(tx) is None:
        rosters.begin(tx, _EMPTY, _facts(Roster()))  # by which everything was a recorder, until now
    rosters.begin(tx, lines, facts)


def _facts(roster: Roster) -> dict[str, Any]:
    """Nobody is named."""
    named = {
        "recorders": {line.recorder for line in roster.lines},
        "officers": {spelt(line.officer) for line in roster.lines if line.officer},
        "units": {line.unit for line in roster.lines if line.unit},
    }
    counts = {name: len(found) for name, found in named.items()}
    return {"sha256": roster.sha256, "lines": len(roster.lines), **counts}


def settle(catalog: Catalog, cooling_off: float, now: float | None) -> None:
    """Rosters whose time is over by the trusted time `now` protect no more. Safe to repeat."""
    if now is None:
        return
    for over in rosters.replaced_before(catalog.read(), now - cooling_off, now):
        catalog.write(lambda tx, over=over: rosters.end(tx, over))  # type: ignore[misc]


def in_force(db: sqlite3.Connection) -> Roster:
    return _roster(rosters.in_force(db) or _EMPTY)


def protecting(db: sqlite3.Connection) -> Protecting:
    return Protecting(tuple(map(_roster, rosters.standing(db))))


def _plain(roster: Roster) -> str:
    lines = [
        [each.isoformat() if isinstance(each, date) else each for each in astuple(line)]
        for line in roster.lines
    ]
    return json.dumps(lines, ensure_ascii=False, separators=(",", ":"))


@lru_cache(maxsize=4)  # asked for inside of transactions, by what they see
def _roster(lines: str) -> Roster:
    return Roster(tuple(_line(*each) for each in json.loads(lines)))


def _line(recorder: str, officer: str, unit: str, source: str, first: str, last: str) -> Line:
    return Line(recorder, officer, unit, source, date.fromisoformat(first), date.fromisoformat(last))
