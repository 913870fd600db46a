"""Whether a recorder's own copy of a clip may go. What keeps the local copy keeps this one, but for its time
here, which counts for the station alone.
"""

import sqlite3
from collections.abc import Callable, Collection

from agent.catalog import retained
from agent.catalog.erasures import ONLY_ASK
from agent.config import EraseConfig
from agent.model import Identity
from agent.retention.book import Book
from agent.retention.decide import Kept
from agent.retention.explain import hinders

#: clip → why its copy on the recorder stays; "" when it may go
Ruling = Callable[[int], str]
_SAFE = ("stored", "uploading", "uploaded", "confirmed")
_OF_CENTRE = ("kept-unconfirmed", "kept-no-store", ONLY_ASK)
_NOT_HERE = Kept(0.0, None)


class Erasing:
    """`now`: a time that can be trusted, None while there is none. `on_roster`: whether a recorder is one of
    ours. `targets`: the central stores that are configured."""

    def __init__(
        self,
        book: Book,
        config: Callable[[], EraseConfig],
        targets: Callable[[], Collection[str]],
        now: Callable[[], float | None],
        on_roster: Callable[[str], bool] = lambda recorder: False,
    ) -> None:
        self._book, self._config, self._targets = book, config, targets
        self._now, self._on_roster = now, on_roster

    @property
    def config(self) -> EraseConfig:
        return self._config()

    def allowed(self, identity: Identity) -> bool:
        """Whether anything is ever erased from this card: it is one of ours, and says so with one voice."""
        sure = identity.assigned and not identity.conflict
        return self._config().enabled and sure and self._on_roster(identity.recorder)

    def now(self) -> float | None:
        """Never to be asked inside a commit: it may commit something itself."""
        return self._now()

    def ruling(self, db: sqlite3.Connection, now: float | None) -> Ruling:
        """By what `db` sees; to be asked for anew in the commit that decides."""
        keeping = self._book.fresh(db)
        targets, after = self._targets(), self._config().after

        def rule(clip: int) -> str:
            row = retained.one(db, clip)
            if row is None or _partial(db, clip):
                return "partial"
            if now is None:
                return "kept-clock-untrusted"
            held = tuple(keeping.holds(row))
            found = [one.key for one in hinders(db, row, _NOT_HERE, held, now, trusted=True, targets=targets)]
            if after == "stored" and row.state in _SAFE:
                found = [key for key in found if key not in _OF_CENTRE]
            return max(found, key=lambda key: key != ONLY_ASK, default="")

        return rule

    def by_centre(self, db: sqlite3.Connection, clip: int, now: float | None) -> bool:
        """Whether the centre has it, by its word of today; else the local copy must show that it is whole."""
        row = retained.one(db, clip)
        if now is None or row is None:
            return False
        return not any(hinders(db, row, _NOT_HERE, (), now, trusted=True, targets=self._targets()))


def _partial(db: sqlite3.Connection, clip: int) -> bool:
    return bool(db.execute("SELECT partial FROM clips WHERE id = ?", (clip,)).fetchone()[0])
