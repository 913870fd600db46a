"""Which rules protect now. What lengthens is in force at once; what shortens anything waits.

While it waits, all rules since the last ones that were confirmed protect together, and the longest wins. It
comes into force alone when its time is over by a trusted clock, somebody has confirmed it (see
`agent.retention.commands`), and it lets no more clips go earlier than `retention.most_affected` allows.
"""

import logging
import math
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.catalog import Catalog, holds, retained, rulesets
from agent.catalog.rulesets import IN_FORCE, OVER, WAITING, RuleRow
from agent.config import RetentionConfig
from agent.errors import Reject
from agent.model import Lock
from agent.retention import persons
from agent.retention.keeping import Keeping
from agent.retention.locks import lock
from agent.retention.roster import protecting
from agent.retention.rules import RuleSet, plain, read, ruleset, shortened

#: Of rules, holds and rosters, the last event that changed any; a hold on a clip speaks of what that one
#: became.
_LAST = (
    "SELECT (SELECT coalesce(max(event), 0) FROM rulesets), (SELECT coalesce(max(id), 0) FROM holds),"
    " (SELECT coalesce(max(lifted), 0) FROM holds),"
    " (SELECT coalesce(max(id), 0) FROM rosters), (SELECT coalesce(max(over), 0) FROM rosters),"
    " (SELECT clips FROM clip_counts WHERE state = 'merged')"
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Standing:
    """`former`: sets that still protect; `latest`: what the configuration says. `waiting`: the latest one,
    while it waits to be the only one."""

    former: tuple[RuleRow, ...]
    latest: RuleRow | None

    @property
    def waiting(self) -> RuleRow | None:
        return self.latest if self.latest and self.latest.state == WAITING else None

    @property
    def rules(self) -> RuleSet:
        """All that protects now."""
        return _rules(*self.former, *([self.latest] if self.latest else []))


def standing(db: sqlite3.Connection) -> Standing:
    rows = rulesets.standing(db)
    return Standing(tuple(rows[:-1]), rows[-1] if rows else None)


def follow(catalog: Catalog, config: RetentionConfig, *, faulty: bool) -> None:
    """At every start, and at every change of the configuration. `faulty`: its files are: what is in force may
    be the defaults then, which nobody asked for, and no rule changes."""
    if not faulty:
        persons.require(catalog, config.two_persons)
        take_over(catalog, config)


def take_over(catalog: Catalog, config: RetentionConfig) -> None:
    """What the configuration says now. Safe to repeat."""
    new = ruleset(config)
    catalog.write(lambda tx: _take_over(tx, new))


def _take_over(tx: sqlite3.Connection, new: RuleSet) -> None:
    now, told = standing(tx), [plain(rule) for rule in new]
    if now.latest is None:
        rulesets.begin(tx, told, IN_FORCE, {"reason": "first"})
        return
    if now.latest.rules == told:
        return
    less = [rule.name for rule in shortened(now.rules, new)]
    if less:
        rulesets.begin(tx, told, WAITING, {"shortens": less})
        _log.warning("rules that shorten %s wait until they are confirmed", less)
        return
    for row in (*now.former, now.latest):
        rulesets.change(tx, row.id, OVER, {"reason": "replaced"})
    rulesets.begin(tx, told, IN_FORCE, {"reason": "nothing shorter"})


@dataclass(frozen=True, slots=True)
class Effect:
    """Of the rules that wait. Holds are left out of account: they may be lifted."""

    clips: int
    earlier: int  # go earlier at the centre, or here
    sooner: int  # of these: would be free to go at once

    @property
    def share(self) -> float:
        return self.earlier / self.clips if self.clips else 0.0


def _effect(db: sqlite3.Connection, old: Keeping, new: Keeping, now: float) -> Effect:
    clips = earlier = sooner = 0
    for row in retained.every(db):
        began = retained.began(db, row, now).at
        recorded = now if began is None else began
        before, after = (kept.at_centre(row, recorded, now).until for kept in (old, new))
        # As if the centre had confirmed it now: what has not happened yet counts, too.
        confirmed = row.confirmed or now
        clips += 1
        here = new.here(row, confirmed).until < old.here(row, confirmed).until
        earlier += after < before or here
        sooner += after <= now < before
    return Effect(clips, earlier, sooner)


def enforce(tx: sqlite3.Connection, waiting: int, facts: Mapping[str, Any]) -> int:
    """The rules that wait take the place of all others. Raises Reject `no-rules-wait`."""
    now = standing(tx)
    if now.waiting is None or now.waiting.id != waiting:
        raise Reject("no-rules-wait")
    for row in now.former:
        rulesets.change(tx, row.id, OVER, {"reason": "replaced"})
    return rulesets.change(tx, waiting, IN_FORCE, facts)


def left(db: sqlite3.Connection, waiting: RuleRow, cooling_off: float, now: float) -> float:
    """Seconds until its time is over, by trusted times only: of one that began under a wrong clock, it counts
    from the first trusted moment after. `math.inf` while there is none."""
    row = db.execute(
        "SELECT at FROM events WHERE seq >= ? AND clock_trusted AND at <= ? ORDER BY seq LIMIT 1",
        (waiting.id, now),
    ).fetchone()
    return max(0.0, row[0] + cooling_off - now) if row else math.inf


def _rules(*rows: RuleRow) -> RuleSet:
    return tuple(read(told) for row in rows for told in row.rules)


class Book:
    """Rules, holds and rosters that protect, read again when they have changed. From any thread."""

    def __init__(self) -> None:
        self._known: tuple[tuple[int, ...], Keeping] | None = None

    def keeping(self, db: sqlite3.Connection) -> Keeping:
        """By what is committed."""
        last = tuple(db.execute(_LAST).fetchone())
        known = self._known
        if known is None or known[0] != last:
            known = self._known = (last, self.fresh(db))
        return known[1]

    def fresh(self, db: sqlite3.Connection) -> Keeping:
        """Read anew, also inside a transaction: what it sees may never be committed, and is not kept."""
        rosters = protecting(db)
        return Keeping(standing(db).rules, holds.in_force(db), rosters.units_of, rosters.sources_of)

    def lock(self, db: sqlite3.Connection, clip: int, now: float) -> Lock:
        """For the centre. `now` is a trusted time, in seconds since the epoch."""
        return lock(db, clip, self.keeping(db), now)

    def effect(self, db: sqlite3.Connection, now: float) -> Effect:
        """What it would be to be kept by the rules that wait, and not by those in force any more."""
        sets, rosters = standing(db), protecting(db)
        old, new = (
            Keeping(_rules(*rows), (), rosters.units_of, rosters.sources_of)
            for rows in (sets.former, [sets.latest] if sets.latest else [])
        )
        return _effect(db, old, new, now)
