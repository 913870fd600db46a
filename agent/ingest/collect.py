"""The algorithm: list, copy, flush, verify, describe, seal, commit — for one docked recorder.

    seen ─commit→ copying ─copy, fsync, re-read, equal─ describe ─commit─ rename, fsync ─commit→ stored

The order is the promise. `describe` is committed before a copy gets its name, so that a crash after
the rename finds the clip's file again; `stored` is committed last, when nothing can undo it.
While one batch is proved and sealed (`seal`), the next one is read from the recorder.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from agent.catalog import Catalog, intake, priority
from agent.config.roster import Roster
from agent.errors import DeviceGone, NoRoom, StationError, StoreFull
from agent.ingest.copier import Copier
from agent.ingest.copy import SMALL, to_write
from agent.ingest.gate import Gate, controller_of
from agent.ingest.listing import Listing, Pending, make_listing, remarks
from agent.ingest.locks import Locks
from agent.ingest.recover import settle
from agent.ingest.room import Promise, Room
from agent.ingest.seal import Sealer
from agent.ingest.store import Store
from agent.model import Condition, Doing, Identity, Reporter, SourceClip, printable
from drivers.base import Session, Telling

_BATCH_FILES = 256
_BATCH_BYTES = 64 << 20
_LONG = 10.0  # seconds without a turn after which a recorder that began is called queued again
_LOOK = 1.0  # seconds between two looks whether somebody wants this recorder first
_BELIEVED = timedelta(days=7)  # before the docking, as retention believes a recorder's clock


@dataclass(slots=True)
class Ingest:
    """What every docking shares. `stored` is called after each commit that leaves something to upload.
    `roster`: whose recorder is whose."""

    catalog: Catalog
    store: Store
    gate: Gate  # for reading recorders
    proofs: Gate  # for reading copies back: bounds the memory of it
    sm3: Callable[[], bool]  # whether to take that digest too
    stored: Callable[[], None]
    #: What is done once a recorder was collected; False: something of it is to be copied again.
    after: Callable[[Session, Identity, int, Reporter], bool] = lambda *_: True
    locks: Locks = field(default_factory=Locks)
    roster: Callable[[], Roster] = Roster
    #: Called when a docking finds no room, or not enough.
    full: Callable[[], None] = lambda: None
    room: Room = field(init=False)

    def __post_init__(self) -> None:
        self.room = Room(self.store.disk)

    def collect(self, session: Session, slot: str, port: str, reporter: Reporter) -> bool:
        """Collect one volume; True when every file on it is safe. Raises DeviceGone, Stopping."""
        identity = session.identity()
        reporter.identified(identity)
        with self.locks.hold(identity.recorder, reporter.check):
            # Nobody else works on this recorder: what is in the middle was left there.
            left = intake.copying_of(self.catalog.read(), identity.recorder)
            settle(self.catalog, self.store, left)
            docking = self.catalog.write(lambda tx: intake.begin_docking(tx, slot, identity))
            reporter.docked(docking)
            outcome = "failed"
            try:
                complete = _Docking(self, session, identity, docking, port, reporter).run()
                complete = complete and self.after(session, identity, docking, reporter)
                outcome = "collected" if complete else "incomplete"
                reporter.condition(_condition(session))
                return complete
            except StationError as error:
                outcome = error.key
                if isinstance(error, StoreFull):
                    self.full()
                raise
            finally:
                self.catalog.write(lambda tx: intake.end_docking(tx, docking, outcome))


@dataclass(slots=True)
class _Docking:
    """One volume of one recorder, from its listing to its last commit."""

    ingest: Ingest
    session: Session
    identity: Identity
    docking: int
    port: str
    reporter: Reporter
    begun: bool = False  # it had a turn at the gate
    first: bool = False  # somebody asked for it
    looked: float = float("-inf")

    def run(self) -> bool:
        catalog, reporter = self.ingest.catalog, self.reporter
        self._say_identity()
        # Asked for at an earlier docking: that may have been a moment ago, before the agent started again.
        self.first = priority.is_waited_for(catalog.read(), self.identity.recorder)
        listing = make_listing(
            catalog, self.session, self.identity, self.docking, reporter.check, self._officer_of()
        )
        for key, params in remarks(listing, datetime.now()):
            reporter.problem(key, **params)
        reporter.listed(len(listing.pending), sum(pending.source.size for pending in listing.pending))
        self._collect_what_fits(listing)
        with catalog.reading() as db:
            return listing.complete and intake.uncollected(db, listing.clips) == 0

    def _collect_what_fits(self, listing: Listing) -> None:
        """Raises NoRoom before anything is begun, and before the recorder counts as received, when nothing
        fits."""
        pending = listing.pending
        with self.ingest.room.promise(f"{self.port} {self.identity.fs_id}") as promise:
            admitted = self._admitted(pending, promise)
            if pending and not admitted:
                free, _, reserve = self.ingest.store.disk()
                raise NoRoom(free=free, reserve=reserve, files=len(pending))
            self.reporter.seen(listing.clips, listing.complete)
            again = self._collect(self._some(admitted, pending), promise, last_try=False)
            # A copy that does not verify is made once more, after all others, while the recorder is there;
            # the first one is kept aside, so that both take room.
            self._collect(self._some(self._admitted(again, promise), again), promise, last_try=True)

    def _admitted(self, pending: list[Pending], promise: Promise) -> list[Pending]:
        """Those that are promised room; who comes first in the listing comes first here."""
        if not pending:
            return []
        chosen = promise.take([to_write(self.ingest.store, one.clip, one.source.size) for one in pending])
        return [pending[place] for place in chosen]

    def _some(self, admitted: list[Pending], pending: list[Pending]) -> list[Pending]:
        """Tells what has to wait."""
        if waiting := len(pending) - len(admitted):
            free, _, reserve = self.ingest.store.disk()
            self.reporter.problem("store-full", free=free, reserve=reserve, files=waiting)
            self.ingest.full()
        return admitted

    def _collect(self, pending: list[Pending], promise: Promise, last_try: bool) -> list[Pending]:
        """Returns what did not verify and should be tried again. Whatever ends this, every clip of
        every batch is left in a true state."""
        ingest = self.ingest
        controller = controller_of(self.port)
        copier = Copier(
            ingest.catalog,
            ingest.store,
            self.session,
            self.reporter,
            lambda: self._turn(controller),
            promise,
            ingest.full,
        )
        sealer = Sealer(
            ingest.catalog,
            ingest.store,
            self.identity,
            self.reporter,
            ingest.proofs,
            ingest.sm3(),
            ingest.stored,
            last_try,
            promise,
        )
        with sealer:
            for batch in _batches(pending):
                clips = [one.clip for one in batch]
                ingest.catalog.write(lambda tx, clips=clips: intake.start(tx, clips, self.docking))  # type: ignore[misc]
                try:
                    copies, ended = copier.copy_all(batch)
                except BaseException:
                    settle(ingest.catalog, ingest.store, clips)
                    raise
                sealer.put(clips, copies)
                if ended is not None:
                    raise ended
            if pending:
                self.reporter.doing(Doing.VERIFYING)
        return sealer.again

    @contextmanager
    def _turn(self, controller: str) -> Iterator[None]:
        """Turns are short and go round: who copies and waits by turns is shown as copying."""
        asked = time.monotonic()

        def wait() -> None:
            self.reporter.check()
            self._look()
            if time.monotonic() - asked > _LONG:
                self.reporter.doing(Doing.QUEUED)

        self._look()
        if not self.begun:
            self.reporter.doing(Doing.QUEUED)
        with self.ingest.gate.turn(controller, wait, lambda: self.first):
            self.begun = True
            self.reporter.doing(Doing.COPYING)
            yield

    def _look(self) -> None:
        now = time.monotonic()
        if not self.first and now - self.looked >= _LOOK:
            self.looked = now
            self.first = priority.of_docking(self.ingest.catalog.read(), self.docking) > 0

    def _officer_of(self) -> Callable[[SourceClip], str]:
        """By the roster, on the day that the clip names, if that can be: else on this one."""
        roster, now = self.ingest.roster(), datetime.now()

        def officer(source: SourceClip) -> str:
            at = source.recorded_at
            told = at if at and now - _BELIEVED <= at <= now else now
            return roster.officer(self.identity.recorder, told.date())

        return officer

    def _say_identity(self) -> None:
        if self.identity.conflict:
            votes = ", ".join(f"{source}: {printable(who)}" for source, who in self.identity.votes)
            self.reporter.problem("identity-conflict", votes=votes)
        if not self.identity.assigned:
            self.reporter.problem("unknown-recorder", recorder=self.identity.recorder)


def _condition(session: Session) -> Condition:
    """All is committed by now: a recorder that does not tell, or is pulled meanwhile, is no failure."""
    try:
        return session.condition() if isinstance(session, Telling) else Condition()
    except (DeviceGone, OSError):
        return Condition()


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
