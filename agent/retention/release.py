"""Lets local copies go that nothing keeps any more, and that the centre has said today it has.

Whether a copy may go is asked again inside the commit that lets it go: a hold that was set a moment before is
seen. The commit comes first, the files after it; a crash in between leaves a list of what is to be removed.
"""

import logging
import math
import sqlite3
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from heapq import nsmallest
from itertools import chain, islice
from pathlib import Path

from agent import durable
from agent.catalog import Catalog, reconfirm, removals, retained
from agent.catalog.retained import Row
from agent.config import RetentionConfig
from agent.model import Problem
from agent.retention.book import Book
from agent.retention.decide import Kept
from agent.retention.explain import hinders, stores
from agent.retention.keeping import Keeping

_GROUP = 200  # clips that share one commit: bounds how long a docking waits
_SILENT = "kept-not-asked"
_EARLY = 20_000  # clips that go early in one step
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
    key. `targets`: the central stores that are configured. `healthy`: whether the catalog can be believed."""

    def __init__(
        self,
        catalog: Catalog,
        book: Book,
        path: Callable[[str], Path],
        disk: Disk,
        config: Callable[[], RetentionConfig],
        targets: Callable[[], Collection[str]],
        now: Callable[[], float | None],
        healthy: Callable[[], bool] = lambda: True,
    ) -> None:
        self._catalog, self._book, self._path, self._disk = catalog, book, path, disk
        self._config, self._targets, self.now, self._healthy = config, targets, now, healthy
        self._stuck: dict[str, OSError] = {}  # by the key of what could not be removed in this step

    def step(self, stopping: Callable[[], bool] = lambda: False) -> Done:
        """One look at every confirmed clip, where `retention.release` is on; what was let go before is
        removed in any case. Raises CatalogError, OSError."""
        now = self.now()  # the clock is watched all the same
        if not self._healthy():
            return Done()
        self._stuck.clear()
        self.remove()
        done = Done() if now is None or not self._config().release else self._let_all_go(now, stopping)
        if self._stuck:
            raise next(iter(self._stuck.values()))
        return done

    def _let_all_go(self, now: float, stopping: Callable[[], bool]) -> Done:
        released = asked = 0
        due, removed = self._due(now), list[int]()
        while self._goes_on(stopping) and (group := list(islice(due, _GROUP))):
            gone, silent = self._release(group, now, removed)
            released, removed = released + gone, []
            if silent and asked < _ASKED:
                asked += self._catalog.write(lambda tx, silent=silent: reconfirm.prove_soon(tx, silent))  # type: ignore[misc]
            if gone and not (removed := list(chain.from_iterable(self._removed()))):
                break  # more tombstones would make no room
        if removed:
            self._catalog.write(lambda tx: removals.done(tx, removed))
        return Done(released, asked)

    def _goes_on(self, stopping: Callable[[], bool]) -> bool:
        return not stopping() and self._healthy() and self._config().release

    def remove(self) -> int:
        """The files of what was released; of how many clips they went. One that cannot be removed keeps no
        other; `step` raises what stood in its way."""
        went = 0
        for gone in self._removed():
            self._catalog.write(lambda tx, gone=gone: removals.done(tx, gone))  # type: ignore[misc]
            went += len(gone)
        return went

    def _removed(self) -> Iterator[list[int]]:
        """Clips whose files are gone for good, which is to be committed."""
        after = 0
        while found := removals.waiting(self._catalog.read(), after, _GROUP):
            after = found[-1][0]
            files = [(clip, key, self._path(key)) for clip, key in found]
            gone = [clip for clip, key, path in files if self._unlinked(key, path)]
            for folder in {path.parent for _, _, path in files}:
                if folder.is_dir():
                    durable.sync_folder(folder)
            yield gone

    def _unlinked(self, key: str, path: Path) -> bool:
        if key in self._stuck:
            return False
        try:
            for file in (path, path.with_name(path.name + ".json")):
                file.unlink(missing_ok=True)
        except OSError as error:
            _log.error("what was released cannot be removed: %s", error)
            self._stuck[key] = error
            return False
        return True

    def _due(self, now: float) -> Iterator[int]:
        """Clips whose time here is over; and while room is short, after these, what was confirmed longest.
        None that no store can vouch for any more: it would only be in the others' way."""
        db, targets = self._catalog.read(), self._targets()
        keeping, short = self._book.keeping(db), self._lacking() > 0
        early: list[tuple[float, int]] = []
        least = min(keeping.shortest, self._config().grace) if short else keeping.shortest
        for row in retained.confirmed_by(db, now - least, now):
            confirmed = retained.confirmed(db, row, now)
            if confirmed is None or keeping.holds(row):
                continue
            kept = keeping.here(row, confirmed)
            over = kept.until <= now
            if not (over or (short and self._early(kept, confirmed).until <= now)):
                continue
            if not stores(db, row.id, targets):
                continue
            if over:
                yield row.id
            else:
                early.append((confirmed, row.id))
        for _, clip in nsmallest(_EARLY, early):
            if self._lacking() <= 0:
                return
            yield clip

    def _lacking(self) -> float:
        """Bytes that should be free and are not; below zero: there is more room than is asked for."""
        free, total, reserve = self._disk()
        return total * self._config().room / 100 - (free - reserve)

    def _early(self, kept: Kept, confirmed: float) -> Kept:
        """While room is short, the time of grace is enough, but for what is kept here for ever."""
        if math.isinf(kept.until):
            return kept
        return Kept(min(kept.until, confirmed + self._config().grace), kept.by)

    def _release(
        self, clips: Sequence[int], now: float, removed: Sequence[int]
    ) -> tuple[int, list[tuple[int, str]]]:
        """(how many went, of those that only the centre's word is missing of: clip, who is silent).
        `removed`: clips that went before, and whose files are gone now; one commit does for both."""
        lacking = self._lacking()

        def work(tx: sqlite3.Connection) -> tuple[int, list[tuple[int, str]]]:
            removals.done(tx, removed)
            keeping, gone, freed, silent = self._book.fresh(tx), 0, 0, list[tuple[int, str]]()
            for row in filter(None, (retained.one(tx, clip) for clip in clips)):
                left = self._let_go(tx, keeping, row, now, early=freed < lacking)
                if not left:
                    gone, freed = gone + 1, freed + row.size
                elif all(one.key == _SILENT for one in left):
                    silent += [(row.id, one.params["target"]) for one in left]
            return gone, silent

        return self._catalog.write(work)

    def _let_go(
        self, tx: sqlite3.Connection, keeping: Keeping, row: Row, now: float, *, early: bool
    ) -> list[Problem]:
        """What keeps it; nothing when it went."""
        confirmed = retained.confirmed(tx, row, now)
        kept = here = keeping.here(row, confirmed)
        if early and confirmed is not None:
            here = self._early(kept, confirmed)
        held, targets = tuple(keeping.holds(row)), self._targets()
        left = list(hinders(tx, row, here, held, now, trusted=True, targets=targets))
        if not left:
            facts = {"rule": kept.by.name if kept.by else "", "early": kept.until > now}
            removals.release(tx, row.id, facts)
        return left
