"""What the station's health is judged by: hands each check what it looks at. Beside `agent/app.py`, above all
rooms.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

from agent import booted, clock
from agent.catalog import Catalog, findings, priority, queries, released, rot
from agent.catalog.check import CatalogCheck
from agent.config.live import LiveConfig
from agent.config.roster import Roster
from agent.custody.clocks import ledger
from agent.custody.completeness.judge import Judge
from agent.dock.events import Source
from agent.ingest.room import Room
from agent.ingest.scrubber import Scrubber
from agent.model import Problem, SlotStatus
from agent.retention import handin, roster
from agent.retention.worker import Worker
from agent.status.acknowledging import Acknowledging
from agent.status.health import HealthBoard
from agent.status.health.boot import boot_check
from agent.status.health.catalog import catalog_check
from agent.status.health.centre import centre_check
from agent.status.health.certificates import configured
from agent.status.health.clips import clips_check
from agent.status.health.clock import clock_check
from agent.status.health.configuration import configuration_check
from agent.status.health.custody import custody_check
from agent.status.health.deadline import deadline_check
from agent.status.health.disk import disk_check, filling_check
from agent.status.health.findings import findings_check
from agent.status.health.handin import handin_check
from agent.status.health.hotplug import hotplug_check
from agent.status.health.machine import machine_checks
from agent.status.health.recorders import clocks_check
from agent.status.health.retention import retention_check
from agent.status.health.scrub import scrub_check
from agent.status.health.slots import Uncollected, slots_check
from agent.status.health.surfaces import surfaces_check
from agent.status.health.targets import targets_check
from agent.status.remembered import Remembered
from agent.upload.live import LiveUploads

_HOLDS = 60.0  # seconds that an answer holds which looks through all that waits, or through every docking
_HOLDS_REPORT = 600.0  # the same, of one that looks at every clip of a day


class Lateness:
    """What is late, as far as it is known; 0 while nobody knows what time it is."""

    def __init__(self, catalog: Catalog, deadline: Callable[[], float]) -> None:
        """`deadline`: seconds from the docking of a clip to the centre."""
        self._catalog, self._deadline = catalog, deadline
        self.today = Remembered(self._today, _HOLDS_REPORT)  # clips that were handed in late
        self.overdue = Remembered(self._overdue, _HOLDS)  # clips that wait for longer than the deadline

    def _today(self) -> int:
        if not clock.trusted():
            return 0
        return handin.late(self._catalog.read(), date.today(), time.time())

    def _overdue(self) -> int:
        if not clock.trusted():
            return 0
        return priority.overdue(self._catalog.read(), time.time() - self._deadline())


@dataclass(frozen=True, slots=True)
class Watched:
    """Whom the checks look at."""

    live: LiveConfig
    data_problem: str
    catalog: Catalog
    check: CatalogCheck
    disk: Callable[[], tuple[int, int, int]]  # (free, total, reserve) in bytes
    room: Room
    filling: Callable[[], tuple[int, int | None] | None]  # as the snapshot tells it
    sources: Sequence[Source]
    slots: Callable[[], Sequence[SlotStatus]]
    uploads: LiveUploads
    log: Callable[[], list[Problem]]  # of the custody log
    retention: Worker
    scrub: Scrubber
    judge: Judge
    late: Lateness
    web: Callable[[], list[Problem]]
    acknowledging: Acknowledging

    def counts(self) -> dict[str, int]:
        return queries.counts(self.catalog.read())

    def wrong_clocks(self) -> list[str]:
        return ledger.wrong(self.catalog.read())

    def away(self) -> list[str]:
        """Recorders that were not brought for long."""
        if not clock.trusted():
            return []
        db = self.catalog.read()
        return handin.away(db, roster.in_force(db), time.time())

    def roster(self) -> Roster:
        return roster.in_force(self.catalog.read())


def _on_roster(known: Roster, recorder: str) -> bool:
    """Today. Everybody, without a roster, and while nobody knows what day it is."""
    return not known.lines or not clock.trusted() or known.of(recorder, date.today()) is not None


def board(of: Watched) -> HealthBoard:
    live, read = of.live, of.catalog.read
    known = Remembered(of.roster, _HOLDS)  # thousands of lines, and asked for each docked recorder
    return HealthBoard(
        {
            "boot": boot_check(booted.problems, lambda: of.data_problem),
            "disk": disk_check(of.disk, lambda: of.room.wanted() > 0, lambda: of.retention.making_room),
            "filling": filling_check(of.filling),
            "config": configuration_check(lambda: live.faults, lambda: live.restart_needed),
            "hotplug": hotplug_check(lambda: [(source.name, source.alive()) for source in of.sources]),
            "slots": slots_check(of.slots, lambda recorder: _on_roster(known(), recorder)),
            "uncollected": Uncollected(of.slots),
            "catalog": catalog_check(of.check.checking, of.check.damage),
            "targets": targets_check(lambda: list(live.current.targets), of.uploads.failing),
            "centre": centre_check(of.uploads.untold, lambda: released.counted(read())),
            "custody": custody_check(of.log),
            "clock": clock_check(clock.trusted),
            "clips": clips_check(of.counts),
            "retention": retention_check(lambda: of.retention.problem),
            "scrub": scrub_check(
                lambda: of.scrub.problem, lambda: rot.waiting(read()), lambda: of.scrub.behind
            ),
            "deadline": deadline_check(of.late.overdue, lambda: live.current.upload.deadline),
            "web": surfaces_check(of.web),
            "recorders": clocks_check(Remembered(of.wrong_clocks, _HOLDS)),
            "handin": handin_check(of.late.today, Remembered(of.away, _HOLDS_REPORT), handin.AWAY),
            "findings": findings_check(lambda: findings.count(read()), lambda: of.judge.failing),
            **machine_checks(lambda: configured(live.current), clock.trusted),
        },
        mark=of.acknowledging.mark,
    )
