"""Why a clip is still here, or may go: which rules match, which one wins, what else keeps it."""

import math
import sqlite3
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from agent.catalog import deliveries, places, retained, rot
from agent.catalog.holds import Hold
from agent.catalog.retained import Began, Row
from agent.errors import Reject
from agent.model import Problem
from agent.retention.decide import Kept
from agent.retention.keeping import Keeping
from agent.retention.rules import Rule

ASKED = 86400.0  # seconds: so lately the centre must have said that it has the clip


@dataclass(frozen=True, slots=True)
class Reading:
    """Times in seconds since the epoch, `math.inf` for ever. `centre`: how long it is kept there; `here`:
    how long this station keeps its copy, as far as rules say."""

    row: Row
    began: Began
    rules: tuple[tuple[Rule, float], ...]  # each that matches, and until when it protects at the centre
    centre: Kept
    here: Kept
    holds: tuple[Hold, ...]
    hinders: tuple[Problem, ...]  # why the local copy cannot go now; none: it may


def explain(
    db: sqlite3.Connection, clip: int, keeping: Keeping, now: float, trusted: bool, targets: Collection[str]
) -> Reading:
    """`now`: a time that is only to be believed when `trusted`. Raises Reject `no-such-clip`."""
    row = retained.one(db, clip)
    if row is None:
        raise Reject("no-such-clip", clip=clip)
    began = retained.began(db, row, now)
    each = tuple(
        (rule, math.inf if began.at is None else began.at + period)
        for rule, period in keeping.matched(row).rules
    )
    here, holds = keeping.here(row, retained.confirmed(db, row, now)), tuple(keeping.holds(row))
    return Reading(
        row,
        began,
        each,
        keeping.at_centre(row, began.at, now),
        here,
        holds,
        tuple(hinders(db, row, here, holds, now, trusted, targets)),
    )


def facts(reading: Reading) -> dict[str, Any]:
    """For who does not know rules. Times stay seconds since the epoch, `math.inf` for ever."""
    return {
        "counts_from": {"at": reading.began.at, "by": reading.began.by},
        "rules": [{"rule": rule.name, "class": rule.gives, "until": until} for rule, until in reading.rules],
        "centre": {"until": reading.centre.until, "rule": reading.centre.by and reading.centre.by.name},
        "here": {"until": reading.here.until, "rule": reading.here.by and reading.here.by.name},
        "holds": [hold.id for hold in reading.holds],
        "hinders": [{"key": one.key, "params": dict(one.params)} for one in reading.hinders],
    }


def hinders(
    db: sqlite3.Connection,
    row: Row,
    here: Kept,
    holds: tuple[Hold, ...],
    now: float,
    trusted: bool,
    targets: Collection[str],
) -> Iterator[Problem]:
    """All that keeps the local copy of `row`; nothing when it may go at `now`. `targets`: the central stores
    that are configured. Each of them that the clip went to must have said within the last day that it has it,
    and at least one; one that was added later never gets it, and is not waited for."""
    if row.state != "confirmed":
        yield Problem("kept-unconfirmed", {"state": row.state})
    elif here.until > now:
        yield Problem("kept-here-until", {"until": here.until, "rule": here.by.name if here.by else ""})
    if rot.known(db, row.id):
        yield Problem("kept-rotten")
    for hold in holds:
        yield Problem("kept-by-hold", {"hold": hold.id})
    if not trusted:
        yield Problem("kept-clock-untrusted")
    if row.state == "confirmed":
        there = stores(db, row.id, targets)
        if not there:
            yield Problem("kept-no-store")
        for target, proved in there.items():
            if proved is None or not now - ASKED <= proved <= now:
                yield Problem("kept-not-asked", {"target": target})


def stores(db: sqlite3.Connection, clip: int, targets: Collection[str]) -> dict[str, float | None]:
    """The central stores that the clip went to and that can still be asked: none of another name, and none
    that is not behind its name any more. With when each last told the clip's digest."""
    return {
        target: proved
        for target, place, proved in deliveries.vouched(db, clip)
        if target in targets and place == places.bound(db, target)
    }
