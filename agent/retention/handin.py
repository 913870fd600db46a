"""Who handed in what within a day of its recording, what came late, and who did not come.

Nobody is accused of what is not proven: a recording counts from the latest moment at which it can have been
made, and where no clock can be believed it is told as unknown.
"""

import sqlite3
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

from agent.catalog import handins, retained
from agent.catalog.handins import Brought
from agent.config.roster import Roster
from agent.model import COLLECTED

LIMIT = 86400.0  # seconds from the recording to the docking: the rule's figure
AWAY = 7  # days without a docking after which a recorder of the roster is told


@dataclass(slots=True)
class Tally:
    """Of one recorder and officer. `away`: a recorder of the roster that did not dock in the span."""

    officer: str
    unit: str
    recorder: str
    clips: int = 0
    in_time: int = 0
    late: int = 0
    most_late: float = 0.0  # seconds beyond the limit
    unknown: int = 0  # nobody can say whether in time
    uncollected: int = 0  # seen, and not on the station yet, or not any more
    away: bool = False


@dataclass(frozen=True, slots=True)
class Late:
    clip: int
    officer: str
    recorder: str
    recorded: float  # the latest moment at which it can have been, seconds since the epoch
    handed: float
    late: float  # seconds beyond the limit


@dataclass(slots=True)
class Report:
    """By unit, officer and recorder."""

    tallies: list[Tally] = field(default_factory=list)
    late: list[Late] = field(default_factory=list)


def span(first: date, last: date) -> tuple[float, float]:
    """From the first moment of a local day up to the end of another one, in seconds since the epoch."""
    begin, end = (datetime.combine(day, time()) for day in (first, last + timedelta(days=1)))
    return begin.timestamp(), end.timestamp()


def report(
    db: sqlite3.Connection,
    roster: Roster,
    first: date,
    last: date,
    now: float,
    officer: str = "",
    unit: str = "",
) -> Report:
    """Of the dockings on these days, both included. `officer`, `unit`: only of these."""
    since, until = span(first, last)
    made = _Making(db, roster, now)
    for one in handins.brought(db, since, until):
        made.add(one)
    made.add_roster(first, last, handins.docked(db, since, until))
    chosen = {
        (tally.officer, tally.recorder): tally
        for tally in made.tallies.values()
        if officer in ("", tally.officer) and unit in ("", tally.unit)
    }
    return Report(
        sorted(chosen.values(), key=lambda tally: (tally.unit, tally.officer, tally.recorder)),
        sorted(
            (late for late in made.late if (late.officer, late.recorder) in chosen),
            key=lambda late: (-late.late, late.clip),
        ),
    )


def late(db: sqlite3.Connection, day: date, now: float) -> int:
    """How many clips were late that day."""
    made = _Making(db, Roster(), now)
    for one in handins.brought(db, *span(day, day)):
        made.add(one)
    return len(made.late)


def away(db: sqlite3.Connection, roster: Roster, now: float) -> list[str]:
    """Recorders that were in the roster for all of the last AWAY days and did not dock at this station. None
    while the catalog itself is younger."""
    since, today = now - AWAY * 86400.0, date.fromtimestamp(now)
    known = handins.known_since(db)
    if not roster.lines or known is None or known > since:
        return []
    before = roster.during(date.fromtimestamp(since), date.fromtimestamp(since))
    expected = before.keys() & roster.during(today, today).keys()
    return sorted(expected - handins.docked(db, since, now + 1))


class _Making:
    def __init__(self, db: sqlite3.Connection, roster: Roster, now: float) -> None:
        self.tallies: dict[tuple[str, str], Tally] = {}
        self.late: list[Late] = []
        self._db, self._roster, self._now = db, roster, now

    def add(self, one: Brought) -> None:
        row = one.row
        began = retained.began(self._db, row, self._now)
        day = date.fromtimestamp(row.docked if began.at is None else began.at)
        officer = row.labelled_officer or row.officer or self._roster.officer(row.recorder, day)
        tally = self._tally(officer, row.recorder, day)
        tally.clips += 1
        if row.state not in COLLECTED or one.handed is None:
            tally.uncollected += 1
        elif not one.certain or began.at is None or began.by == retained.DOCKED:
            tally.unknown += 1
        elif (beyond := one.handed - began.at - LIMIT) > 0:
            tally.late += 1
            tally.most_late = max(tally.most_late, beyond)
            self.late.append(Late(row.id, officer, row.recorder, began.at, one.handed, beyond))
        else:
            tally.in_time += 1

    def add_roster(self, first: date, last: date, docked: set[str]) -> None:
        """Recorders that brought nothing, or did not come."""
        seen = {recorder for _, recorder in self.tallies}
        for recorder, line in self._roster.during(first, last).items():
            if recorder not in seen:
                tally = self._tally(line.officer, recorder, max(first, line.first))
                tally.away = recorder not in docked

    def _tally(self, officer: str, recorder: str, day: date) -> Tally:
        key = officer, recorder
        if key not in self.tallies:
            self.tallies[key] = Tally(officer, self._roster.unit(officer, recorder, day), recorder)
        return self.tallies[key]
