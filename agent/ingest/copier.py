"""Copies one batch from the recorder; what cannot be copied is told and given back, the rest goes on."""

from collections import deque
from collections.abc import Callable, Generator

from agent.catalog import Catalog, intake
from agent.errors import Reject, SourceChanged, StationError, StoreFull
from agent.ingest.copy import SMALL, Turn, copy_large, copy_small
from agent.ingest.listing import Pending
from agent.ingest.partial import Copy
from agent.ingest.room import Promise
from agent.ingest.store import Store
from agent.model import Reporter, printable
from drivers.base import Reader, Session

_AHEAD = 8  # files that are opened, and asked of the recorder, before their turn

Opened = tuple[Pending, Reader | StationError]


class Copier:
    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        session: Session,
        reporter: Reporter,
        turn: Turn,
        promise: Promise,
        full: Callable[[], None],
    ) -> None:
        """`full` is called when the disk is, whatever was promised: others fill it, too."""
        self._catalog, self._store = catalog, store
        self._promise, self._full = promise, full
        self._session, self._reporter, self._turn = session, reporter, turn

    def copy_all(self, batch: list[Pending]) -> tuple[list[Copy], StationError | None]:
        """The copies that are whole, and what ended the rest: what is whole is kept even when the
        recorder has gone."""
        copies: list[Copy] = []
        opened = self._opened(batch)
        try:
            for pending, reader in opened:
                try:
                    copies.append(self._copy(pending, reader))
                except (StoreFull, Reject, SourceChanged) as error:
                    self._give_back(pending, error)
        except StationError as error:
            return copies, error
        finally:
            opened.close()
        return copies, None

    def _opened(self, batch: list[Pending]) -> Generator[Opened, None, None]:
        window: deque[Opened] = deque()
        try:
            for pending in batch:
                window.append((pending, self._open(pending)))
                if len(window) > _AHEAD:
                    yield window.popleft()
            while window:
                yield window.popleft()
        finally:
            for _, reader in window:
                if not isinstance(reader, StationError):
                    reader.close()

    def _open(self, pending: Pending) -> Reader | StationError:
        """An error waits for its turn, so that it is told of the right file."""
        try:
            reader = self._session.open(pending.source)
        except StationError as error:
            return error
        reader.ahead(0, min(pending.source.size, SMALL))
        return reader

    def _copy(self, pending: Pending, reader: Reader | StationError) -> Copy:
        if isinstance(reader, StationError):
            raise reader
        try:
            store, clip, source, reporter = self._store, pending.clip, pending.source, self._reporter
            if source.size <= SMALL:
                return copy_small(store, clip, source, reader, reporter, self._promise)
            return copy_large(store, clip, source, reader, reporter, self._turn, self._promise)
        finally:
            reader.close()

    def _give_back(self, pending: Pending, error: StationError) -> None:
        """This file is not collected; the recorder's other files are."""
        if isinstance(error, SourceChanged):
            self._store.discard(pending.clip)
        if isinstance(error, StoreFull):
            self._full()
        self._catalog.write(lambda tx: intake.give_back(tx, pending.clip, error.key))
        params = {"path": printable(pending.source.path), "bytes": pending.source.size}
        self._reporter.problem(error.key, **{**error.params, **params})
