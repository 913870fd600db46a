"""The algorithm: list, copy, flush, verify, describe, seal, commit — for one docked recorder.

    seen ─commit→ copying ─copy, fsync, re-read, equal─ describe ─commit─ rename, fsync ─commit→ stored

The order is the promise. `describe` is committed before a copy gets its name, so that a crash after
the rename finds the clip's file again; `stored` is committed last, when nothing can undo it.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from agent.catalog import Catalog, documents, intake
from agent.errors import DeviceGone, NotEqual, Reject, SourceChanged, StationError, StoreFull
from agent.ingest.copy import SMALL, copy_clip
from agent.ingest.gate import Gate
from agent.ingest.listing import Pending, make_listing, remarks
from agent.ingest.partial import Copy
from agent.ingest.recover import settle
from agent.ingest.store import Store, key_for
from agent.ingest.verify import verify
from agent.model import Identity, Manifest, Reporter, printable
from drivers.base import Session

log = logging.getLogger(__name__)

_BATCH_FILES = 256
_BATCH_BYTES = 64 << 20
_TRIES = 2  # a copy that does not verify is made once more while the recorder is there


@dataclass(slots=True)
class Ingest:
    """What every docking shares. `stored` is told after each commit that there is work to upload."""

    catalog: Catalog
    store: Store
    gate: Gate
    sm3: bool
    stored: threading.Event
    _locks: "Locks" = field(default_factory=lambda: Locks())

    def collect(self, session: Session, slot: str, port: str, reporter: Reporter) -> bool:
        """Collect one volume; True when every file on it is safe. Raises DeviceGone, Stopping."""
        identity = session.identity()
        reporter.identified(identity)
        with self._locks.hold(f"{identity.recorder} {identity.fs_id}", reporter):
            docking = self.catalog.write(lambda tx: intake.begin_docking(tx, slot, identity))
            outcome = "failed"
            try:
                complete = _Collection(self, session, identity, docking, port, reporter).run()
                outcome = "collected" if complete else "incomplete"
                return complete
            except StationError as error:
                outcome = error.key
                raise
            finally:
                self.catalog.write(lambda tx: intake.end_docking(tx, docking, outcome))


@dataclass(slots=True)
class _Collection:
    """One docking of one volume."""

    ingest: Ingest
    session: Session
    identity: Identity
    docking: int
    port: str
    reporter: Reporter

    def run(self) -> bool:
        ingest, reporter = self.ingest, self.reporter
        self._say_identity()
        listing = make_listing(ingest.catalog, self.session, self.identity, self.docking, reporter.check)
        for key, params in remarks(listing, datetime.now()):
            reporter.problem(key, **params)
        reporter.listed(len(listing.pending), sum(pending.source.size for pending in listing.pending))
        for batch in _batches(listing.pending):
            self._collect(batch)
        return listing.complete and intake.uncollected(ingest.catalog.read(), listing.clips) == 0

    def _say_identity(self) -> None:
        if self.identity.conflict:
            votes = ", ".join(f"{source}: {printable(who)}" for source, who in self.identity.votes)
            self.reporter.problem("identity-conflict", votes=votes)
        if not self.identity.assigned:
            self.reporter.problem("unknown-recorder", recorder=self.identity.recorder)

    def _collect(self, batch: list[Pending]) -> None:
        """One batch through all steps. Whatever ends it, every clip of it is left in a true state."""
        catalog, store = self.ingest.catalog, self.ingest.store
        clips = [pending.clip for pending in batch]
        catalog.write(lambda tx: intake.start(tx, clips, self.docking))
        try:
            copies, ended = self._copy_all(batch)
            store.flush([store.partial(copy.clip) for copy in copies])
            self._keep([done for copy in copies if (done := self._verified(copy))])
        finally:
            settle(catalog, store, self._unsettled(clips))
        if ended is not None:
            raise ended

    def _unsettled(self, clips: list[int]) -> list[int]:
        return intake.copying(self.ingest.catalog.read(), clips)

    def _copy_all(self, batch: list[Pending]) -> tuple[list[Copy], StationError | None]:
        """The copies that are whole, and what ended the rest: those that are whole are kept even when
        the recorder has gone."""
        copies: list[Copy] = []
        for pending in batch:
            try:
                copies.append(self._copy(pending))
            except (StoreFull, Reject, SourceChanged) as error:
                self._give_back(pending, error)
            except StationError as error:
                return copies, error
        return copies, None

    def _copy(self, pending: Pending) -> Copy:
        ingest, source = self.ingest, pending.source
        reader = self.session.open(source)
        try:
            return copy_clip(ingest.store, pending.clip, source, reader, self.reporter, self._turn)
        finally:
            reader.close()

    def _turn(self) -> AbstractContextManager[None]:
        return self.ingest.gate.turn(self.port)

    def _give_back(self, pending: Pending, error: StationError) -> None:
        """This file is not collected; the recorder's other files are."""
        if isinstance(error, SourceChanged):
            self.ingest.store.discard(pending.clip)
        self.ingest.catalog.write(lambda tx: intake.give_back(tx, pending.clip, error.key))
        self.reporter.problem(error.key, **{**error.params, "path": printable(pending.source.path)})

    def _verified(self, copy: Copy) -> "tuple[Copy, Manifest, bytes] | None":
        ingest = self.ingest
        path = ingest.store.partial(copy.clip)
        for tries_left in reversed(range(_TRIES)):
            try:
                manifest, samples = verify(copy, path, ingest.sm3, self._beat, self._turn)
            except NotEqual as error:
                log.error("clip %d does not verify: %s", copy.clip, error)
                ingest.store.set_aside(copy.clip, path)
                ingest.store.discard(copy.clip)
                if not tries_left or not (again := self._copy_again(copy)):
                    self._quarantine(copy, error)
                    return None
                copy = again
            else:
                return copy, manifest, samples
        return None

    def _copy_again(self, copy: Copy) -> Copy | None:
        self.reporter.advanced(-copy.source.size)
        try:
            again = self._copy(Pending(copy.clip, copy.source))
        except (StoreFull, Reject, SourceChanged, DeviceGone) as error:
            log.error("clip %d cannot be copied again: %s", copy.clip, error)
            return None
        self.ingest.store.flush([self.ingest.store.partial(copy.clip)])
        return again

    def _quarantine(self, copy: Copy, error: NotEqual) -> None:
        part = error.params.get("part")
        self.ingest.catalog.write(lambda tx: intake.quarantine_copy(tx, copy.clip, "not-equal", part=part))
        self.reporter.problem("not-equal", path=printable(copy.source.path))

    def _keep(self, done: list[tuple[Copy, Manifest, bytes]]) -> None:
        """Describe, seal, commit."""
        catalog, store = self.ingest.catalog, self.ingest.store
        if not done:
            return
        keys = [key_for(self.identity, copy.source, manifest) for copy, manifest, _ in done]
        twins = catalog.write(
            lambda tx: [
                intake.describe(tx, copy.clip, manifest, key, samples)
                for (copy, manifest, samples), key in zip(done, keys, strict=True)
            ]
        )
        fresh = [copy.clip for (copy, _, _), twin in zip(done, twins, strict=True) if twin is None]
        db = catalog.read()
        store.seal([documents.stored_clip(db, clip) for clip in fresh])
        catalog.write(lambda tx: intake.store(tx, fresh))
        for (copy, _, _), twin in zip(done, twins, strict=True):
            if twin is not None:
                store.discard(copy.clip)
                self._add_name(twin)
        for copy, _, _ in done:
            if copy.unreadable:
                lost = sum(length for _, length in copy.unreadable)
                self.reporter.problem("unreadable", path=printable(copy.source.path), bytes=lost)
        self.reporter.finished(len(done))
        self.ingest.stored.set()

    def _add_name(self, twin: int) -> None:
        self.ingest.store.rewrite_sidecar(documents.stored_clip(self.ingest.catalog.read(), twin))

    def _beat(self) -> None:
        """A heartbeat that goes on when the recorder is gone: its bytes are all here."""
        try:
            self.reporter.check()
        except DeviceGone:
            return


class Locks:
    """One docking of a card at a time: a recorder that comes back in another slot waits until the
    work for its last docking has ended."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._held: set[str] = set()

    @contextmanager
    def hold(self, name: str, reporter: Reporter) -> Iterator[None]:
        with self._condition:
            while name in self._held:
                self._condition.wait(1)
                reporter.check()
            self._held.add(name)
        try:
            yield
        finally:
            with self._condition:
                self._held.discard(name)
                self._condition.notify_all()


def _batches(pending: list[Pending]) -> Iterator[list[Pending]]:
    """Small files share their fsyncs and commits; a large one goes alone."""
    batch: list[Pending] = []
    size = 0
    for item in pending:
        small = item.source.size <= SMALL
        if batch and (not small or len(batch) == _BATCH_FILES or size + item.source.size > _BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(item)
        size += item.source.size
        if not small:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
