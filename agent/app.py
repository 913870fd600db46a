"""The station: makes every room, hands each what it needs, starts and stops them in order.

The only file that knows all others, with `agent/checks.py` and `agent/surfaces.py`, which wire the health
checks, and what is shown. Start: what is
committed must be true before anything is added to it, and everything that was stored must find its way on
before the next recorder is read. Stop: the other way round.
"""

import logging
import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from pathlib import Path

from agent import __version__, booted, clock, lock, surfaces
from agent.access import Access
from agent.catalog import (
    Catalog,
    backlog,
    deliveries,
    events,
    findings,
    home,
    lengthened,
    queries,
    rot,
    stopped,
)
from agent.catalog.check import CatalogCheck
from agent.checks import Lateness, Watched, board
from agent.config import Config
from agent.config.live import LiveConfig
from agent.config.web import place
from agent.custody.completeness import explain
from agent.custody.completeness.judge import Judge
from agent.custody.evidence import exported, shown, viewed
from agent.custody.inspection import orders as inspection
from agent.custody.log import commands as custody_commands
from agent.custody.log import configured, leaving, opening, ordering, told
from agent.custody.log.keeper import Keeper
from agent.custody.texts import Texts
from agent.dock.board import Board
from agent.dock.dock import Dock
from agent.dock.docking import Docking, Tools
from agent.dock.events import Source
from agent.dock.hotplug import UdevSource
from agent.dock.mounts import Mounts, Verbs
from agent.dock.orders import Orders
from agent.dock.rack import RackSource
from agent.errors import Stop
from agent.ingest.collect import Ingest
from agent.ingest.empty import Emptying
from agent.ingest.gate import Gate
from agent.ingest.recover import recover
from agent.ingest.scrub import Scrub
from agent.ingest.scrubber import Scrubber
from agent.ingest.store import Store
from agent.model import ClipState, Problem, Reporter, SlotState
from agent.privileged.client import Helper
from agent.privileged.verbs import InProcess
from agent.retention import book, roster
from agent.retention.book import Book
from agent.retention.clockwatch import ClockWatch
from agent.retention.commands import Commands
from agent.retention.erase import Erasing
from agent.retention.forecast import Forecast, forecast
from agent.retention.locks import lock_what_lengthened, locking
from agent.retention.release import Release
from agent.retention.worker import Worker
from agent.status.acknowledging import Acknowledging
from agent.status.confirmed import Confirmed
from agent.status.health import HealthBoard
from agent.status.metrics import Measured, Scrubbed, exposition
from agent.status.remembered import Remembered
from agent.status.snapshot import Sources, snapshot
from agent.supervise import Supervisor
from agent.upload import back
from agent.upload.commands import commands
from agent.upload.live import LiveUploads
from agent.upload.report.reports import Reports
from agent.upload.report.turn import Author
from agent.upload.report.who import station_id
from agent.web.app import application
from agent.web.clips import catalog_clips
from agent.web.server import WebServer
from drivers import names
from drivers.base import Session
from drivers.registry import best

log = logging.getLogger(__name__)

_STOP = 9.0  # seconds for all rooms together; systemd is told ten
_WEB_STOP = 1.0
_COPYING = (SlotState.IDENTIFYING, SlotState.COLLECTING)
_SOURCE_LIMIT = 90.0  # seconds; sources of events come round every 30


def run(config_path: Path | None) -> int:
    """Run the agent until it is told to stop; return its exit code. Raises Stop before READY."""
    live = LiveConfig(config_path)
    store = live.current.store.path
    if data_problem := booted.data_problem(store):
        log.error("the data disk cannot be used (%s): nothing is collected", data_problem)
        store = booted.STAND_IN
    with lock.hold(store):
        return Station(live, store, data_problem).run()


class Station:
    def __init__(self, live: LiveConfig, store: Path, data_problem: str = "") -> None:
        """With a `data_problem` nothing may be stored: `store` lies in memory, and slots say so."""
        self._live = live
        self._data_problem = data_problem
        self._started = time.monotonic()
        self._ready = False
        config = live.current
        self._catalog = Catalog.open(home.settle(store))
        self._access = Access(self._catalog)
        self._clock = ClockWatch(self._catalog, clock.ours)
        self._check = CatalogCheck(self._catalog)
        self._moved = backlog.Moved(events.last(self._catalog.read()))
        self._late = Lateness(self._catalog, lambda: live.current.upload.deadline)
        self._book = Book()
        self._store = Store(store, lambda: live.current.store.reserve)
        self._who = self._station_id()
        self._custody = Keeper(self._catalog, store / "custody", self._who) if self._who else None
        self._uploads = LiveUploads(self._catalog, self._store.path, self._book.lock, self._reports())
        self._ingest = Ingest(
            self._catalog,
            self._store,
            Gate(lambda: (live.current.ingest.copies, live.current.ingest.copies_per_controller)),
            Gate(lambda: (os.cpu_count() or 1, live.current.ingest.copies)),
            lambda: live.current.ingest.sm3,
            self._uploads.notify,
            Emptying(self._catalog, self._store, self._erasing(), self._uploads.notify).run,
            roster=lambda: roster.in_force(self._catalog.read()),
            full=lambda: self._retention.wake(),
        )
        self._roster = Remembered(lambda: roster.in_force(self._catalog.read()), 1.0)
        self._judge = Judge(self._catalog)
        self._retention = Worker(
            Release(
                self._catalog,
                self._book,
                self._store.path,
                self._ingest.room.disk,
                lambda: live.current.retention,
                lambda: live.current.targets,
                self._clock.now,
                lambda: not self._check.checking() and not self._check.damage(),
            ),
            self._settle,
            self._foresee,
        )
        self._texts = Texts(self._store.root)
        self._acknowledging = Acknowledging(self._catalog, self._texts.said, self._texts.read)
        self._board = Board()
        self._scrub = Scrubber(self._make_scrub)
        self._sources = list(_sources(config))
        mounts = Mounts(_verbs(config))
        self._dock = Dock(
            lambda: live.current.dock,
            self._sources,
            mounts,
            Tools(self._board, mounts, best, self._collect, lost=rot.Lost(self._catalog.read)),
            stopped.slots(self._catalog.read()),
        )
        self._looked_at = self._look(config)
        self._supervisor = Supervisor([self._dock_beats, self._catalog_beats])
        self._web = self._make_web(config)

    def run(self) -> int:
        supervisor = self._supervisor
        supervisor.watch_threads()
        supervisor.handle_signals()
        if self._custody:
            self._custody.start()
        recover(self._catalog, self._store)
        # Rules before those who lock and let go by them.
        self._live.subscribe(self._take_rules_over)
        self._take_rules_over(self._live.current)
        self._live.subscribe(self._uploads.apply)
        self._live.subscribe(self._configured)
        self._live.start()
        self._configured(self._live.current)
        self._uploads.apply(self._live.current)
        self._judge.start()
        self._retention.start()
        self._scrub.start()
        self._dock.start()
        self._web.start()
        self._ready = True
        supervisor.ready(self._summary())
        log.info("ready after %.2f s", time.monotonic() - self._started)
        self._check.start()
        supervisor.run(self._summary)
        supervisor.stopping()
        self._stop()
        return 1 if supervisor.failure else 0

    def _stop(self) -> None:
        until = time.monotonic() + _STOP
        late = [f"slot {slot}" for slot in self._dock.stop(_STOP - _WEB_STOP)]
        if not self._uploads.stop(max(0.0, until - _WEB_STOP - time.monotonic())):
            late.append("upload")
        if not self._judge.stop(max(0.0, until - _WEB_STOP - time.monotonic())):
            late.append("completeness")
        if not self._retention.stop(max(0.0, until - _WEB_STOP - time.monotonic())):
            late.append("retention")
        if not self._scrub.stop(max(0.0, until - _WEB_STOP - time.monotonic())):
            late.append("scrub")
        self._live.stop()
        self._web.stop(_WEB_STOP)
        # Last of those that use the catalog: it takes over what the others have committed.
        if self._custody and not self._custody.stop(max(0.0, until - time.monotonic())):
            late.append("custody")
        if late:
            # Threads that hang in the kernel would keep the process from ending; what they did not
            # commit did not happen.
            log.error("ended without %s", ", ".join(late))
            logging.shutdown()
            os._exit(1)
        self._catalog.close()

    def _collect(self, session: Session, docking: Docking, reporter: Reporter) -> bool:
        if self._data_problem:
            raise Stop("no-data-disk")
        return self._ingest.collect(session, docking.slot, docking.device.port, reporter)

    def _make_scrub(self, wait: Callable[[float], bool]) -> Scrub:
        live = self._live
        return Scrub(
            self._catalog,
            self._store,
            self._ingest.room.disk,
            self._ingest.locks,
            lambda: live.current.scrub,
            self._fetch_back,
            self._uploads.notify,
            lambda: any(slot.state in _COPYING for slot in self._board.snapshot()),
            wait,
        )

    def _fetch_back(self, clip: int, put: back.Put, wait: Callable[[float], object]) -> str | list[Problem]:
        db = self._catalog.read()
        try:
            return back.fetch(
                db, back.known(self._live.current.targets, db, self._store.root), clip, put, wait
            )
        except back.NotFetched as error:
            return error.reasons

    def _erasing(self) -> Erasing:
        live = self._live
        return Erasing(
            self._book,
            lambda: live.current.erase,
            lambda: live.current.targets,
            self._clock.now,
            self._on_roster,
        )

    def _on_roster(self, recorder: str) -> bool:
        """Today."""
        return roster.in_force(self._catalog.read()).of(recorder, date.today()) is not None

    def _registered(self, recorder: str) -> bool | None:
        """For the screens: each asks about each slot, once a second."""
        known = self._roster()
        return known.of(recorder, date.today()) is not None if known.lines else None

    def _station_id(self) -> str:
        """Without its data disk a station does not know who it is: "", and it keeps no log and tells nobody
        anything."""
        if self._data_problem:
            return ""
        try:
            return station_id(self._store.root)
        except OSError as error:  # collecting goes on
            log.error("this station has no id, it keeps no log and the centre is not told of it: %s", error)
            return ""

    def _reports(self) -> Reports | None:
        if not self._who:
            return None
        folder = self._store.root / "custody"
        author = Author(
            self._who,
            secrets.token_hex(8),
            lambda: snapshot(self._looked_at),
            lambda log, size: leaving.steps(folder, log, size, told.first(self._catalog.read())),
            lambda: opening.number_of(self._catalog),
            lambda: surfaces.address(self._live.current.web, self._web.lan_port),
        )
        return Reports(author, names.parse)

    def _log_problems(self) -> list[Problem]:
        if self._custody:
            return self._custody.problems()
        return [] if self._data_problem else [Problem("log-off")]

    def _look(self, config: Config) -> Sources:
        return Sources(
            station=config.station.name,
            version=__version__,
            started=self._started,
            slots=self._board.snapshot,
            clip_counts=self._counts,
            queue=lambda: deliveries.queue(self._catalog.read()),
            disk=self._store.disk,
            filling=self._filling,
            clock_trusted=clock.trusted,
            health=self._health().issues,
            findings=lambda: findings.count(self._catalog.read()),
            waiting_for=lambda: () if self._ready else ("dock",),
            confirmed=Confirmed(self._catalog.reading),
            registered=self._registered,
        )

    def _make_web(self, config: Config) -> WebServer:
        clips = catalog_clips(self._catalog.read)
        found = explain.lister(self._catalog, self._texts)
        ordered = {
            **commands(self._uploads),
            **explain.commands(self._catalog, self._texts),
            **self._custody_commands(),
            **self._retention_commands(),
            **self._access_commands(),
            **self._order_commands(),
        }
        rooms = surfaces.Rooms(
            self._live,
            self._catalog,
            self._store.root,
            self._uploads,
            self._looked_at,
            ordered,
            found,
            self._book,
            self._clock.now,
        )
        app = application(
            self._looked_at,
            clips,
            found,
            lambda: self._live.current.station.language,
            surfaces.asked(rooms),
            self._access,
            exposition(self._looked_at, self._measured()),
            shown.Shown(self._catalog, self._store.root / "custody"),
        )
        return WebServer(app, *place(config.web.listen), config.web.socket, surfaces.lan(config.web))

    def _measured(self) -> Measured:
        read = self._catalog.read
        return Measured(
            amounts=lambda: backlog.by_state(read()),
            moved=lambda: self._moved.look(read()),
            waiting=self._waiting,
            deadline=lambda: self._live.current.upload.deadline,
            overdue=lambda: self._late.overdue() if clock.trusted() else None,
            late_today=lambda: self._late.today() if clock.trusted() else None,
            targets=self._uploads.fares,
            clock_offset=clock.ours.offset,
            log=lambda: self._custody.figures() if self._custody else None,
            # Without the data disk nobody knows: the catalog in memory has seen none.
            unsafe_shutdowns=lambda: None if self._data_problem else self._catalog.unsafe_shutdowns,
            beats=self._beats,
            scrub=lambda: Scrubbed(*self._scrub.figures),
            rotten=lambda: rot.waiting(read()),
        )

    def _waiting(self) -> float | None:
        """Seconds that the clip waits which waits longest."""
        waits, since = backlog.waits_since(self._catalog.read())
        if not waits:
            return 0.0
        return time.time() - since if since is not None and clock.trusted() else None

    def _take_rules_over(self, config: Config) -> None:
        book.follow(self._catalog, config.retention, faulty=self._live.faulty)
        self._catalog.write(lambda tx: lengthened.follow(tx, locking(config.targets)))
        roster.take_over(self._catalog, self._live.roster)
        self._kept_otherwise()

    def _kept_otherwise(self) -> None:
        """Something may be kept for longer, or go earlier, than before."""
        self._uploads.notify()
        if lengthened.standing(self._catalog.read()):
            self._retention.wake()

    def _settle(self, stopping: Callable[[], bool]) -> None:
        now, config = self._clock.now(), self._live.current
        roster.settle(self._catalog, config.retention.cooling_off, now)
        keeping, locks = self._book.keeping, locking(config.targets)
        if lock_what_lengthened(self._catalog, keeping, locks, now, stopping):
            self._uploads.notify()

    def _foresee(self) -> Forecast | None:
        db, now = self._catalog.read(), time.time()
        releasing = self._live.current.retention.release and self._clock.now() is not None
        return forecast(db, self._book.keeping(db), now, releasing=releasing)

    def _filling(self) -> tuple[int, int | None] | None:
        """As the snapshot tells it: what comes was looked at a while ago, the disk is now."""
        known = self._retention.forecast
        free, _, reserve = self._store.disk()
        return (round(known.per_day), known.days(free, reserve)) if known else None

    def _configured(self, config: Config) -> None:
        configured.note_approval(self._catalog, config.export.approval)
        configured.note(self._catalog, __version__, config)

    def _custody_commands(self) -> Mapping[str, custody_commands.Command]:
        if not self._who:
            return {}
        folder = self._store.root / "custody"
        return {
            **custody_commands.commands(self._catalog, folder, self._who),
            **ordering.commands(self._catalog, self._texts, self._uploads.highest_log),
            **inspection.commands(self._catalog, folder, self._texts),
            **exported.commands(self._catalog, self._texts),
            **viewed.commands(self._catalog, self._store.root, self._texts),
        }

    def _retention_commands(self) -> Mapping[str, custody_commands.Command]:
        if self._data_problem:
            return {}  # a hold that is gone at the next start is none
        return Commands(
            self._catalog,
            self._book,
            self._texts,
            self._clock,
            self._kept_otherwise,
        ).all()

    def _access_commands(self) -> Mapping[str, custody_commands.Command]:
        """An account that is gone at the next start is none."""
        return {} if self._data_problem else self._access.commands()

    def _order_commands(self) -> Mapping[str, custody_commands.Command]:
        if self._data_problem:
            return {}  # an order that is gone at the next start is none

        def known() -> set[str]:
            return {slot.slot for slot in self._board.snapshot()}

        return {
            **Orders(self._catalog, self._texts.said, known, self._dock.ordered).all(),
            **self._acknowledging.commands(lambda: self._looked_at.health()),
        }

    def _health(self) -> HealthBoard:
        return board(
            Watched(
                live=self._live,
                data_problem=self._data_problem,
                catalog=self._catalog,
                check=self._check,
                disk=self._store.disk,
                room=self._ingest.room,
                filling=self._filling,
                sources=self._sources,
                slots=self._board.snapshot,
                uploads=self._uploads,
                log=self._log_problems,
                retention=self._retention,
                scrub=self._scrub,
                judge=self._judge,
                late=self._late,
                web=lambda: self._web.problems(),
                acknowledging=self._acknowledging,
            )
        )

    def _counts(self) -> dict[str, int]:
        return queries.counts(self._catalog.read())

    def _summary(self) -> str:
        counts = self._counts()
        waiting = sum(counts[state] for state in (ClipState.STORED, ClipState.UPLOADING, ClipState.UPLOADED))
        busy = sum(1 for slot in self._board.snapshot() if slot.recorder)
        return f"{busy} recorders docked, {waiting} clips to upload, {counts[ClipState.CONFIRMED]} confirmed"

    def _dock_beats(self) -> Iterator[tuple[str, float, float]]:
        """The dock itself gives up a stuck slot after `stuck_after`; here is what must not happen."""
        limit = self._live.current.dock.stuck_after + 60
        for name, idle in self._dock.beats().items():
            yield name, idle, limit if name.startswith("slot ") else _SOURCE_LIMIT

    def _beats(self) -> Iterator[tuple[str, float, float]]:
        """For who only looks on: a commit that hangs shows in the supervisor, who waits for it."""
        yield "supervisor", self._supervisor.idle_for(), _SOURCE_LIMIT
        yield from self._dock_beats()

    def _catalog_beats(self) -> Iterator[tuple[str, float, float]]:
        """A commit of nothing: while the writer hangs, this hangs, and so does the watchdog's beat."""
        began = time.monotonic()
        self._catalog.write(lambda _: None)
        yield "catalog", time.monotonic() - began, _SOURCE_LIMIT


def _verbs(config: Config) -> Verbs:
    """On a station the agent is nobody in particular, and asks its helper. Without real ports nothing is
    ever mounted, and no helper is missed."""
    if os.geteuid() == 0 or not config.dock.udev:
        return InProcess(config.dock.mounts, config.dock.tag)
    return Helper(config.dock.helper)


def _sources(config: Config) -> Iterator[Source]:
    if config.dock.udev:
        yield UdevSource(config.dock.tag)
    if config.dock.simulated_rack is not None:
        yield RackSource(config.dock.simulated_rack)
