"""How long a clip is locked at the centre: as long as it must be kept there, and never longer."""

import math
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence

from agent.catalog import Catalog, holds, lengthened, reconfirm, retained
from agent.catalog.holds import Hold
from agent.catalog.retained import Row
from agent.config import targets as configured
from agent.model import Lock
from agent.retention.keeping import Keeping

_DAY = 86400.0
_GROUP = 500  # clips that share one commit: bounds how long a docking waits
_VOUCHED = "EXISTS (SELECT 1 FROM deliveries d WHERE d.clip = c.id AND d.state = 'confirmed')"
_LOCKS = (
    "SELECT clip, target, coalesce(json_extract(receipt, '$.lock.until'), 0),"
    " coalesce(json_extract(receipt, '$.lock.hold'), 0)"
    " FROM deliveries WHERE clip BETWEEN ? AND ? AND state = 'confirmed'"
)


def lock(db: sqlite3.Connection, clip: int, keeping: Keeping, now: float) -> Lock:
    """`now` is a trusted time, in seconds since the epoch. A clip that was docked before any time could be
    trusted counts from now on."""
    row = retained.one(db, clip)
    return Lock(hold=True) if row is None else _lock(db, row, keeping, now)


def _lock(db: sqlite3.Connection, row: Row, keeping: Keeping, now: float) -> Lock:
    if keeping.holds(row):
        return Lock(hold=True)
    until = keeping.at_centre(row, retained.began(db, row, now, docked_by=now).at, now).until
    if math.isinf(until):
        return Lock(hold=True)
    return Lock(until) if until > now + _DAY else Lock()  # a server refuses what is over already


def lock_at_centre(catalog: Catalog, hold: Hold) -> int:
    """Have the clips that `hold` covers locked where they were confirmed already: targets are asked for them
    next. How many clips are covered, as far as they are known."""
    found = 0
    for rows in holds.may_cover(catalog.read(), hold):
        covered = [row.id for row in rows if hold.covers(row)]
        catalog.write(lambda tx, covered=covered: reconfirm.soon(tx, covered))  # type: ignore[misc]
        found += len(covered)
    return found


def locking(targets: Mapping[str, configured.Target]) -> set[str]:
    """Those that are to keep clips under a lock."""
    return {
        name
        for name, target in targets.items()
        if isinstance(target, configured.S3Target) and target.lock != "none"
    }


def lock_what_lengthened(
    catalog: Catalog,
    keeping: Callable[[sqlite3.Connection], Keeping],
    locking: Collection[str],
    now: float | None,
    stopping: Callable[[], bool] = lambda: False,
) -> int:
    """After anything was lengthened: have targets asked next for each clip, also for those that are released,
    that one of `locking` keeps under a shorter lock than it is to have now. Goes on where it ended, after a
    crash too. How many were not to be asked before; none while there is no trusted time `now`."""
    asked, db = 0, catalog.read()
    while now is not None and not stopping() and (was := lengthened.standing(db)) is not None:
        rows = next(retained.where(db, _VOUCHED, {}, was.after, _GROUP), []) if locking else []
        short = _short(db, rows, keeping(db), locking, now) if rows else []
        last = rows[-1].id if rows else None

        def work(
            tx: sqlite3.Connection,
            was: lengthened.Lengthened = was,
            short: Sequence[int] = short,
            last: int | None = last,
        ) -> int:
            lengthened.looked(tx, was, last)
            return reconfirm.soon(tx, short)

        asked += catalog.write(work)
    return asked


def _short(
    db: sqlite3.Connection, rows: Sequence[Row], keeping: Keeping, locking: Collection[str], now: float
) -> list[int]:
    """Those of `rows`, by rising id, that are locked for less long than they are to be."""
    wanted = {row.id: _lock(db, row, keeping, now) for row in rows}
    told = db.execute(_LOCKS, (rows[0].id, rows[-1].id)).fetchall()
    return sorted(
        {
            clip
            for clip, target, until, hold in told
            if target in locking and clip in wanted and not Lock(until, bool(hold)).covers(wanted[clip])
        }
    )
