"""One SQLite file, one writer thread, any number of readers.

Every write is a function that runs inside the writer's transaction. Writes that wait at the same
time share one commit, so thirty-two slots share its fsync; each has a savepoint of its own, so one
that fails takes nothing of the others with it. `write` returns after the commit is on disk.
"""

import contextlib
import queue
import sqlite3
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from agent.catalog import faults, meta
from agent.catalog.migrate import migrate
from agent.clock import boot_id
from agent.errors import CatalogError

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], Any]
Batch = list[tuple[Work, Future[Any]]]

_GROUP = 64  # writes that may share one commit: bounds how long the first of them waits
_WRITER_CACHE_KIB = 8192
_READER_CACHE_KIB = 512  # up to 40 threads read
_UNSAFE = "unsafe-shutdowns"  # in `meta`: how many agents ended without `close`


class _Undone(Exception):
    """SQLite has rolled back the whole transaction by itself, as it does on a full disk."""


class _Reader(sqlite3.Connection):
    """A class of our own, since only that can be referred to weakly."""


class Catalog:
    """Open with `Catalog.open`. `unclean` tells whether the last agent ended without `close`, and
    `unsafe_shutdowns` how many did since this catalog began."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self.unclean, self.unsafe_shutdowns = _mark_running(connection)
        self._connection = connection
        self._queue: queue.SimpleQueue[tuple[Work, Future[Any]] | None] = queue.SimpleQueue()
        self._local = threading.local()
        self._readers: weakref.WeakSet[_Reader] = weakref.WeakSet()
        self._subscribers: list[Callable[[], None]] = []
        self._door = threading.Lock()  # nothing is queued behind the end
        self._closed = False
        self._ended: CatalogError | None = None
        self._thread = threading.Thread(target=self._run, name="catalog", daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, path: Path) -> "Catalog":
        """Raises CatalogError when the file is no catalog, is damaged at its root, is newer, or when the
        machine does not let us have it."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=30)
        except (OSError, sqlite3.Error) as error:
            raise faults.told(error, path) from error
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
            migrate(connection, path)
            return cls(path, connection)
        except sqlite3.Error as error:
            connection.close()
            raise faults.told(error, path) from error
        except CatalogError:
            connection.close()
            raise

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction; return its result once that is on disk, raise what it raised.

        Raises CatalogError `catalog-write` when nothing of the whole group could be committed."""
        future: Future[T] = Future()
        with self._door:
            if self._closed or self._ended:
                raise self._ended or CatalogError("catalog-closed")
            self._queue.put((work, future))
        return future.result()

    def read(self) -> sqlite3.Connection:
        """This thread's read-only connection."""
        connection: _Reader | None = getattr(self._local, "connection", None)
        if connection is None:
            address = f"{self.path.absolute().as_uri()}?mode=ro"
            connection = sqlite3.connect(
                address, uri=True, isolation_level=None, check_same_thread=False, timeout=30, factory=_Reader
            )
            self._readers.add(connection)
            connection.row_factory = sqlite3.Row
            connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
            self._local.connection = connection
        return connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection for many questions at once: one lock, and one moment, for all of them."""
        connection = self.read()
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("COMMIT")

    def subscribe(self, callback: Callable[[], None]) -> None:
        """From now on `callback` is called behind each commit that changed something, by the writer's thread:
        it only wakes somebody, and never raises. To be done before the first write."""
        self._subscribers.append(callback)

    def quick_check(self) -> list[str]:
        """What SQLite finds wrong; empty when all is well. Reads the whole file: minutes when large."""
        with contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as db:
            try:
                found = [str(row[0]) for row in db.execute("PRAGMA quick_check(20)")]
            except sqlite3.DatabaseError as error:
                return [str(error)]
        return [] if found == ["ok"] else found

    def close(self) -> None:
        """Finish what is queued and note that this was a clean stop. Nobody reads any more."""
        with self._door:
            if self._closed:
                return
            self._closed = True
            self._queue.put(None)
        self._thread.join()
        for reader in list(self._readers):
            reader.close()
        # Last: only one that may write folds the log into the database and removes it.
        self._connection.close()

    def _run(self) -> None:
        batch: Batch = []
        try:
            while batch := self._next_batch():
                self._commit(batch)
            self._connection.execute("DELETE FROM meta WHERE key = 'running'")
        except BaseException as error:
            self._give_up(batch, error)
            raise  # escapes the thread: the supervisor ends the agent

    def _give_up(self, batch: Batch, error: BaseException) -> None:
        """Nobody waits for ever for a writer that has ended."""
        with self._door:
            self._ended = CatalogError("catalog-write", reason=str(error))
            while not self._queue.empty():
                if item := self._queue.get():
                    batch.append(item)
        for _, future in batch:
            if not future.done():
                future.set_exception(self._ended)

    def _next_batch(self) -> Batch:
        batch: Batch = []
        item = self._queue.get()
        while item is not None:
            batch.append(item)
            if len(batch) == _GROUP or self._queue.empty():
                return batch
            item = self._queue.get()
        if batch:
            self._queue.put(None)
        return batch

    def _commit(self, batch: Batch) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        before = self._connection.total_changes
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for work, future in batch:
                outcomes.append((future, *self._attempt(work, alone=len(batch) == 1)))
            self._connection.execute("COMMIT")
        except (sqlite3.Error, _Undone) as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            failure = CatalogError("catalog-write", reason=str(error))
            outcomes = [(future, None, failure) for _, future in batch]
        else:
            if self._connection.total_changes != before:
                for callback in self._subscribers:
                    callback()
        for future, result, raised in outcomes:
            if raised is None:
                future.set_result(result)
            else:
                future.set_exception(raised)

    def _attempt(self, work: Work, alone: bool) -> tuple[Any, BaseException | None]:
        """`alone`: the transaction is its own. A savepoint in it would only make SQLite put every page
        aside again before each statement, which is ten times what is written."""
        execute = self._connection.execute
        if not alone:
            execute("SAVEPOINT work")
        try:
            result = work(self._connection)
        except Exception as error:
            if not self._connection.in_transaction:
                # What came before is gone; what came now would begin, and commit, a transaction of its own.
                raise _Undone(str(error)) from error
            for undo in ("ROLLBACK", "BEGIN") if alone else ("ROLLBACK TO work", "RELEASE work"):
                execute(undo)
            return None, error
        if not alone:
            execute("RELEASE work")
        return result, None


def _mark_running(connection: sqlite3.Connection) -> tuple[bool, int]:
    """Note that an agent has it open. (Whether the note of an earlier one is still there, how often one was
    found by now); the count and the new note are one commit, so a cut in between counts nothing twice."""
    connection.execute("BEGIN IMMEDIATE")
    before = meta.get(connection, "running") is not None
    count = int(meta.get(connection, _UNSAFE) or 0) + before
    if before:
        meta.put(connection, _UNSAFE, str(count))
    meta.put(connection, "running", boot_id())
    connection.execute("COMMIT")
    return before, count
