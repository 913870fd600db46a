"""Lets local copies go that nothing keeps any more, and that the centre has said today it has.

Whether a copy may go is asked again inside the commit that lets it go: a hold that was set a moment before is
seen. The commit comes first, the files after it; a crash in between leaves a list of what is to be removed.
"""

import logging
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from agent import durable
from agent.catalog import Catalog, reconfirm, removals, retained
from agent.config import RetentionConfig
from agent.retention.book import Book
from agent.retention.decide import Kept
from agent.retention.explain import hinders
from agent.retention.keeping import Keeping

_GROUP = 200  # clips that share one commit: bounds how long a docking waits
_SILENT = {"kept-not-asked"}
_ASKED = 2_000  # clips that the centre is asked for at once
_log = logging.getLogger(__name__)

#: (free, total, reserve) in bytes
Disk = Callable[[], tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Done:
    released: int = 0
    asked: int = 0  # the centre is asked for these first


class Release:
    """`now`: a time by which something may go, None while there is none. `path`: of a clip's file, by its
    key. `targets`: the central stores that are configured."""

    def __init__(
        self,
        catalog: Catalog,
        book: Book,
        path: Callable[[str], Path],
        disk: Disk,
        config: Callable[[], RetentionConfig],
        targets: Callable[[], Collection[str]],
        now: Callable[[], float | None],
    ) -> None:
        self._catalog, self._book, self._path, self._disk = catalog, book, path, disk
        self._config, self._targets, self.now = config, targets, now

    def step(self, stopping: Callable[[], bool] = lambda: False) -> Done:
        """One look at every confirmed clip. Raises CatalogError, OSError."""
        self.remove()
        now = self.now()
        if now is None:
            return Done()
        released = asked = 0
        due = self._due(now)
        while not stopping() and (group := list(islice(due, _GROUP))):
            gone, silent = self._release(group, now)
            released += gone
            if silent and asked < _ASKED:
                self._catalog.write(lambda tx, silent=silent: reconfirm.soon(tx, silent, prove=True))  # type: ignore[misc]
                asked += len(silent)
        return Done(released, asked)

    def remove(self) -> None:
        """The files of what was released."""
        while found := removals.waiting(self._catalog.read(), _GROUP):
            folders = set[Path]()
            for _, key in found:
                path = self._path(key)
                for file in (path, path.with_name(path.name + ".json")):
                    file.unlink(missing_ok=True)
                folders.add(path.parent)
            for folder in folders:
                if folder.is_dir():
                    durable.sync_folder(folder)
            self._catalog.write(lambda tx, found=found: removals.done(tx, [clip for clip, _ in found]))  # type: ignore[misc]

    def _due(self, now: float) -> Iterator[int]:
        """Clips whose time here is over; and while room is short, after these, what was confirmed longest."""
        db = self._catalog.read()
        keeping, grace = self._book.keeping(db), self._config().grace
        early: list[tuple[float, int]] = []
        for row in retained.all_confirmed(db):
            confirmed = retained.confirmed(db, row, now)
            if confirmed is None or keeping.holds(row):
                continue
            if keeping.here(row, confirmed).until <= now:
                yield row.id
            elif self._short() and confirmed + grace <= now:
                early.append((confirmed, row.id))
        for _, clip in sorted(early):
            if not self._short():
                return
            yield clip

    def _short(self) -> bool:
        free, total, reserve = self._disk()
        return free - reserve < total * self._config().room / 100

    def _release(self, clips: Sequence[int], now: float) -> tuple[int, list[int]]:
        """(how many went, those that only the centre's word is missing of)"""
        early = self._short()

        def work(tx: sqlite3.Connection) -> tuple[int, list[int]]:
            keeping = self._book.fresh(tx)
            came = [(clip, self._let_go(tx, keeping, clip, now, early)) for clip in clips]
            return sum(left == set() for _, left in came), [clip for clip, left in came if left == _SILENT]

        done = self._catalog.write(work)
        self.remove()
        return done

    def _let_go(
        self, tx: sqlite3.Connection, keeping: Keeping, clip: int, now: float, early: bool
    ) -> set[str] | None:
        """What keeps it; nothing when it went. `early`: while room is short, the time of grace is enough."""
        row = retained.one(tx, clip)
        if row is None or row.confirmed is None:
            return None
        confirmed = retained.confirmed(tx, row, now)
        kept = here = keeping.here(row, confirmed)
        if early and confirmed is not None:
            here = Kept(min(kept.until, confirmed + self._config().grace), kept.by)
        held, targets = tuple(keeping.holds(row)), self._targets()
        left = {one.key for one in hinders(tx, row, here, held, now, trusted=True, targets=targets)}
        if not left:
            facts = {"rule": kept.by.name if kept.by else "", "early": kept.until > now}
            removals.release(tx, clip, facts)
        return left
