"""Proves copies from the disk and seals them, in a thread of its own behind the copying."""

import logging
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, suppress

from agent.catalog import Catalog, documents, intake, rot
from agent.errors import DeviceGone, NotEqual, StationError, Stopping
from agent.ingest.gate import Gate
from agent.ingest.listing import Pending
from agent.ingest.partial import Copy
from agent.ingest.recover import settle
from agent.ingest.room import SIDECAR, Promise
from agent.ingest.store import Store, key_for
from agent.ingest.verify import Flushed, verify
from agent.model import ClipState, Identity, Manifest, Reporter, printable

log = logging.getLogger(__name__)

_AHEAD = 16  # files whose first bytes are asked of the disk before their turn

_WAIT = 1.0  # seconds between two heartbeats while the disk works
_VOUCHED = (ClipState.CONFIRMED, ClipState.RELEASED)  # the centre has it

Proved = tuple[Copy, Manifest, bytes]


class Sealer:
    """As a context manager: at its exit every batch put in is sealed, or its error is raised. At most
    one batch waits here, so what is copied and not yet safe stays bounded."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        identity: Identity,
        reporter: Reporter,
        proofs: Gate,
        sm3: bool,
        stored: Callable[[], None],
        last_try: bool,
        promise: Promise,
    ) -> None:
        """`last_try`: a copy that does not verify is quarantined; else it goes to `again`."""
        self._catalog, self._store = catalog, store
        self._identity, self._reporter, self._sm3 = identity, reporter, sm3
        self._proofs, self._stored, self._last_try = proofs, stored, last_try
        self._promise = promise
        self._pool = ThreadPoolExecutor(1, "seal")
        self._batch: Future[None] | None = None
        self.again: list[Pending] = []

    def put(self, clips: list[int], copies: list[Copy]) -> None:
        """Take over a batch: its clips are in state `copying`, those in `copies` are whole. Waits for
        the batch before it, and raises what that one raised."""
        try:
            self._wait()
        finally:
            self._batch = self._pool.submit(self._seal, clips, copies)

    def __enter__(self) -> "Sealer":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            self._wait()
        except Exception:
            if kind is None:
                raise
            log.exception("a batch was not sealed")
        finally:
            self._pool.shutdown()

    def _wait(self) -> None:
        """For the batch before. A disk that takes long over a sync is not the recorder's standstill."""
        batch, self._batch = self._batch, None
        while batch is not None and not wait([batch], _WAIT).done:
            with suppress(DeviceGone, Stopping):
                self._reporter.check()
        if batch is not None:
            batch.result()

    def _seal(self, clips: list[int], copies: list[Copy]) -> None:
        try:
            self._store.flush([self._store.partial_name(copy.clip) for copy in copies])
            self._keep([proved for copy in self._opened(copies) if (proved := self._proved(copy))])
            self._promise.written(SIDECAR * len(copies))
        finally:
            with self._catalog.reading() as db:
                unsettled = intake.copying(db, clips)
            settle(self._catalog, self._store, unsettled)

    def _opened(self, copies: list[Copy]) -> Iterator[tuple[Copy, Flushed]]:
        """Each copy with its file, open, cache dropped, and those behind it asked of the disk already."""
        window: deque[tuple[Copy, Flushed]] = deque()
        with ExitStack() as stack:
            for copy in copies:
                flushed = Flushed(self._store.partial_name(copy.clip))
                stack.callback(flushed.close)
                window.append((copy, flushed))
                if len(window) > _AHEAD:
                    yield window.popleft()
            yield from window

    def _proved(self, opened: tuple[Copy, Flushed]) -> Proved | None:
        copy, flushed = opened
        try:
            with self._proofs.turn("", self._beat):
                return copy, *verify(copy, flushed, self._sm3, self._beat)
        except NotEqual as error:
            self._failed(copy, error)
            return None
        finally:
            flushed.close()

    def _failed(self, copy: Copy, error: NotEqual) -> None:
        log.error("clip %d does not verify: %s", copy.clip, error)
        self._store.set_aside(copy.clip, self._store.partial(copy.clip))
        self._store.discard(copy.clip)
        part = error.params.get("part")
        if self._last_try:
            self._catalog.write(lambda tx: intake.quarantine_copy(tx, copy.clip, error.key, part=part))
            self._reporter.problem(error.key, path=printable(copy.source.path))
        else:
            self._catalog.write(lambda tx: intake.give_back(tx, copy.clip, error.key, part=part))
            self._reporter.advanced(-copy.source.size)
            self.again.append(Pending(copy.clip, copy.source))

    def _keep(self, proved: list[Proved]) -> None:
        """Describe, seal, commit."""
        catalog, store = self._catalog, self._store
        pairs = self._described(proved)
        fresh = [copy.clip for copy, twin in pairs if twin is None]
        with catalog.reading() as db:
            sealable = [documents.stored_clip(db, clip) for clip in fresh]
        try:
            store.seal(sealable)
            catalog.write(lambda tx: intake.store(tx, fresh))
        finally:
            for copy, twin in pairs:
                if twin is not None:
                    self._give_up(copy, twin)
        self._tell([copy for copy, _ in pairs])

    def _give_up(self, copy: Copy, twin: int) -> None:
        """A copy that its twin made needless; the twin has one name more."""
        try:
            self._store.rewrite_sidecar(documents.stored_clip(self._catalog.read(), twin))
        except OSError as error:
            log.error("the sidecar of clip %d lacks a name: %s", twin, error)
        # Last: while it is there, `recover` knows what was left to be done.
        self._store.discard(copy.clip)

    def _described(self, proved: list[Proved]) -> list[tuple[Copy, int | None]]:
        """Each copy with the clip that it merged into. A copy that the catalog refuses fails alone."""
        try:
            return self._describe(proved)
        except (sqlite3.Error, StationError) as error:
            if len(proved) == 1:
                (copy, _, _) = proved[0]
                log.error("clip %d cannot be described: %s", copy.clip, error)
                self._reporter.problem("internal", error=str(error), path=printable(copy.source.path))
                return []
            return [pair for one in proved for pair in self._described([one])]

    def _describe(self, proved: list[Proved]) -> list[tuple[Copy, int | None]]:
        keys = [key_for(self._identity, copy.source, manifest) for copy, manifest, _ in proved]
        with self._catalog.reading() as db:
            for (copy, manifest, _), key in zip(proved, keys, strict=True):
                self._mend_twin(db, copy, manifest, key)

        def describe(tx: sqlite3.Connection) -> list[int | None]:
            return [
                intake.describe(tx, copy.clip, manifest, key, samples)
                for (copy, manifest, samples), key in zip(proved, keys, strict=True)
            ]

        copies = [copy for copy, _, _ in proved]
        return list(zip(copies, self._catalog.write(describe), strict=True))

    def _mend_twin(self, db: sqlite3.Connection, copy: Copy, manifest: Manifest, key: str) -> None:
        """Before a good copy is given up for one that was stored earlier, that one is read again."""
        found = intake.twin(db, copy.clip, manifest, key)
        if found is not None and (found[1] not in _VOUCHED or rot.known(db, found[0])):
            self._store.mend(documents.stored_clip(db, found[0]), copy.clip)

    def _tell(self, copies: list[Copy]) -> None:
        for copy in copies:
            if copy.unreadable:
                lost = sum(length for _, length in copy.unreadable)
                self._reporter.problem("unreadable", path=printable(copy.source.path), bytes=lost)
        self._reporter.finished(len(copies))
        self._stored()

    def _beat(self) -> None:
        """A heartbeat that goes on when the recorder is gone: the bytes are all here."""
        with suppress(DeviceGone):
            self._reporter.check()
