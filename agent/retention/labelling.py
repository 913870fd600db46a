"""Labels on one clip, on many, on all of a docking: who said what, and why."""

import sqlite3
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agent.catalog import Catalog, labels, reconfirm, retained
from agent.catalog.retained import Row
from agent.errors import Reject
from agent.retention.book import Book
from agent.retention.keeping import Keeping

_GROUP = 200  # clips that share one commit: bounds how long a docking waits


@dataclass(frozen=True, slots=True)
class Labelling:
    """`said`: by field; `facts`: by whom and why; `shortens`: whether it may shorten a period."""

    book: Book
    said: Mapping[str, str]
    facts: Mapping[str, Any]
    shortens: bool

    def of_all(self, catalog: Catalog, clips: Sequence[int]) -> int:
        """How many clips were changed. What is refused is refused before anything is said, but for what
        happens meanwhile: then those before it are labelled.

        Raises Reject `no-such-clip`, `label-leaves-hold`, `label-shortens`."""
        with catalog.reading() as db:
            self.check(db, clips)
        changed = 0
        for at in range(0, len(clips), _GROUP):
            group = clips[at : at + _GROUP]
            changed += catalog.write(lambda tx, group=group: self.put(tx, group))  # type: ignore[misc]
        return changed

    def check(self, db: sqlite3.Connection, clips: Iterable[int]) -> None:
        keeping, now = self.book.fresh(db), time.time()
        for clip in clips:
            refuse(db, keeping, clip, self.said, lengthens_only=not self.shortens, now=now)

    def put(self, tx: sqlite3.Connection, clips: Sequence[int]) -> int:
        """Checked again inside the commit: a hold that was set a moment before is seen."""
        self.check(tx, clips)
        changed = [clip for clip in clips if labels.put(tx, clip, self.said, self.facts) is not None]
        reconfirm.soon(tx, changed)  # they may have to be locked for longer
        return len(changed)


def refuse(
    db: sqlite3.Connection,
    keeping: Keeping,
    clip: int,
    said: Mapping[str, str],
    *,
    lengthens_only: bool,
    now: float,
) -> None:
    """Raises Reject when `said` may not be said of the clip."""
    row = retained.one(db, clip)
    if row is None or row.state == "merged":
        raise Reject("no-such-clip", clip=clip)
    after = _labelled(db, row, said)
    held = {hold.id for hold in keeping.holds(after)}
    for hold in keeping.holds(row):
        if hold.id not in held:
            raise Reject("label-leaves-hold", clip=clip, hold=hold.id)
    if lengthens_only and _shorter(db, keeping, row, after, now):
        raise Reject("label-shortens", clip=clip)


def _shorter(db: sqlite3.Connection, keeping: Keeping, before: Row, after: Row, now: float) -> bool:
    recorded = retained.began(db, before, now, docked_by=now).at
    at_centre = (keeping.at_centre(row, recorded, now).until for row in (before, after))
    # As if the centre had confirmed it now: what has not happened yet counts, too.
    here = (keeping.here(row, row.confirmed or now).until for row in (before, after))
    return any(new < old for old, new in (tuple(at_centre), tuple(here)))


def _labelled(db: sqlite3.Connection, row: Row, said: Mapping[str, str]) -> Row:
    """As it would be."""
    changes: dict[str, Any] = {}
    if "category" in said:
        changes["category"] = said["category"]
    if "case" in said:
        changes |= {"case": said["case"], "case_closed": int(labels.is_closed(db, said["case"]))}
    if "officer" in said:
        changes["labelled_officer"] = said["officer"]
    if "important" in said:
        marked = int(db.execute("SELECT important FROM clips WHERE id = ?", (row.id,)).fetchone()[0])
        changes["important"] = {"yes": 1, "no": 0, "": marked}[said["important"]]
    return row._replace(**changes)
