"""What the pages and the published interface are told by: hands them whom they ask. Beside `agent/app.py`,
above all rooms.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, clocks, handover, meta
from agent.config.live import LiveConfig
from agent.config.web import WebConfig, place
from agent.custody.clocks import ledger
from agent.custody.evidence import footage, receipts
from agent.custody.log import opening
from agent.custody.log.reading import Log
from agent.errors import Reject, Stop
from agent.retention import explain, handin
from agent.retention.book import Book
from agent.retention.roster import in_force, protecting
from agent.status.remembered import Remembered
from agent.status.snapshot import Sources
from agent.upload.live import LiveUploads
from agent.web.address import reachable
from agent.web.api.asked import Asked, LogHead, TargetFact
from agent.web.commands import Commands
from agent.web.findings import FindingReader
from agent.web.server import Lan

_HOLDS = 1.0  # seconds


@dataclass(frozen=True, slots=True)
class Rooms:
    """Whom the surfaces ask."""

    live: LiveConfig
    catalog: Catalog
    store: Path
    uploads: LiveUploads
    looked_at: Sources
    commands: Commands
    findings: FindingReader
    book: Book
    now: Callable[[], float | None]  # None: no time is to be believed

    def targets(self) -> list[TargetFact]:
        failing = self.uploads.failing()
        targets = self.live.current.targets
        return [TargetFact(name, target.kind, failing.get(name)) for name, target in targets.items()]

    def head(self) -> LogHead | None:
        try:
            log = self._log()
        except (Reject, Stop):
            return None  # none yet, or one that cannot be read: health tells why
        return LogHead(log.origin, log.head.size, log.head.root.hex(), log.note.data.decode())

    def receipt(self, docking: int) -> bytes:
        """Raises Reject, Stop `log-unreadable`."""
        return receipts.of_event(self._log(), handover.event_of_docking(self.catalog.read(), docking)).data

    def explain(self, clip: int) -> Mapping[str, Any]:
        """Raises Reject."""
        trusted, targets = self.now(), frozenset(self.live.current.targets)
        now = time.time() if trusted is None else trusted
        with self.catalog.reading() as db:
            keeping = self.book.keeping(db)
            return explain.facts(explain.explain(db, clip, keeping, now, trusted is not None, targets))

    def handin(self, day: date) -> Mapping[str, Any]:
        with self.catalog.reading() as db:
            made = handin.report(db, in_force(db), day, day, time.time())
        return asdict(made)

    def clock(self, recorder: str) -> Mapping[str, Any] | None:
        with self.catalog.reading() as db:
            return ledger.standing(db, recorder).facts if clocks.offsets(db, recorder) else None

    def facts(self) -> Mapping[str, Any]:
        return self.live.current.model_dump(mode="json")  # secrets are in files of their own

    def _log(self) -> Log:
        number = meta.get(self.catalog.read(), opening.META)
        if number is None:
            raise Reject("no-log-yet")
        return Log(self.store / "custody" / number)


def asked(rooms: Rooms) -> Asked:
    # Thousands of lines, and asked for each of thousands of rows.
    known = Remembered(lambda: protecting(rooms.catalog.read()), _HOLDS)
    return Asked(
        sources=rooms.looked_at,
        read=rooms.catalog.read,
        units_of=lambda officer: known().units_of(officer),
        targets=rooms.targets,
        head=rooms.head,
        receipt=rooms.receipt,
        commands=rooms.commands,
        explain=rooms.explain,
        opened=lambda clip, key: footage.opened(rooms.store, clip, key),
        handin=rooms.handin,
        findings=rooms.findings,
        clock=rooms.clock,
        facts=rooms.facts,
    )


def lan(config: WebConfig) -> Lan | None:
    if config.lan is None or config.certificate is None or config.certificate_key is None:
        return None
    return Lan(*place(config.lan), config.certificate, config.certificate_key)


def address(config: WebConfig, port: int | None) -> str:
    """Where other machines come in, `host:port`; "" where none may. `port`: the one that is open there."""
    return "" if config.lan is None else reachable(place(config.lan).host, port)
