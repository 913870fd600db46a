"""A small station to look at: its facts can be set, its server and sockets are the real ones."""

import http.client
import json
import socket
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

from agent.access.access import Access
from agent.catalog import Catalog, backlog, events
from agent.config.roster import Roster
from agent.custody.evidence import footage, viewed
from agent.custody.texts import Texts
from agent.dock.orders import Orders
from agent.errors import Reject
from agent.model import ClipState, Problem, SlotState, SlotStatus
from agent.retention import explain, handin
from agent.retention.keeping import Keeping
from agent.status.acknowledging import Acknowledging
from agent.status.health import HealthBoard, Issue
from agent.status.health.surfaces import surfaces_check
from agent.status.metrics import Measured, Scrubbed, exposition
from agent.status.snapshot import Sources
from agent.web import WebServer, application, catalog_clips
from agent.web.api.asked import Asked, LogHead, TargetFact
from agent.web.server import Lan


@dataclass(slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Station:
    folder: Path
    port: int = 0
    catalog_at: Path | None = None  # that of a store with clips
    lan: tuple[Path, Path] | None = None  # certificate and key
    slots: list[SlotStatus] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    waiting_for: list[str] = field(default_factory=list)
    language: str = "en"
    trusted: bool = True  # its clock
    findings: list[dict[str, Any]] = field(default_factory=list)
    clocks: dict[str, dict[str, Any]] = field(default_factory=dict)  # by recorder
    units: dict[str, list[str]] = field(default_factory=dict)  # officer → theirs
    targets: list[TargetFact] = field(default_factory=list)
    head: LogHead | None = None
    now: float = 1000.0  # of no clock in particular
    issues: list[Issue] = field(default_factory=list)
    receipts: dict[int, str] = field(default_factory=dict)  # by docking
    #: (arguments, who) of each command that was given; one with a target that is not known is refused
    commands: list[tuple[Mapping[str, str], str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.catalog = Catalog.open(self.catalog_at or self.folder / "catalog.db")
        self.access = Access(self.catalog, lambda: self.now)
        self.socket = self.folder / "run" / "agent.sock"
        checks = {"web": surfaces_check(lambda: self.server.problems()), "others": lambda: list(self.issues)}
        texts = Texts(self.folder)
        acknowledging = Acknowledging(self.catalog, texts.said, texts.read)
        self.health = HealthBoard(checks, mark=acknowledging.mark)
        sources = Sources(
            station="Test station",
            version="1.2.3",
            started=time.monotonic(),
            slots=lambda: self.slots,
            clip_counts=lambda: self.counts,
            queue=lambda: (3, 3 << 20),
            disk=lambda: (50 << 30, 100 << 30, 2 << 30),
            filling=lambda: (3 << 30, 12),
            clock_trusted=lambda: self.trusted,
            health=self.health.issues,
            findings=lambda: len(self.findings),
            waiting_for=lambda: self.waiting_for,
        )
        uploads = {f"upload-{what}": self._upload for what in ("now", "slot", "retry")}
        commands = {"target-accept": self._accept, "finding-explain": self._explain, **uploads}
        commands |= self.access.commands()
        commands |= Orders(
            self.catalog, texts.said, lambda: {slot.slot for slot in self.slots}, self._ordered
        ).all()
        commands |= acknowledging.commands(self.health.issues)
        commands |= viewed.commands(self.catalog, self.folder, Texts(self.folder))
        self.ordered = commands
        asked = Asked(
            sources=sources,
            read=self.catalog.read,
            units_of=lambda officer: frozenset(self.units.get(officer, ())),
            targets=lambda: self.targets,
            head=lambda: self.head,
            receipt=self._receipt,
            commands=commands,
            explain=self._kept,
            opened=lambda clip, key: footage.opened(self.folder, clip, key),
            handin=self._handin,
            findings=self._listed,
            clock=lambda recorder: self.clocks.get(recorder),
            facts=lambda: {"station": {"name": "Test station"}},
        )
        self.measured = measured(self.catalog)
        app = application(
            sources,
            catalog_clips(self.catalog.read),
            self._listed,
            lambda: self.language,
            asked,
            self.access,
            exposition(sources, self.measured),
            lambda docking: self.receipts.get(docking, ""),
        )
        lan = Lan("127.0.0.1", 0, *self.lan) if self.lan else None
        self.server = WebServer(app, "127.0.0.1", self.port, self.socket, lan)

    def _accept(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        if arguments.get("target") == "unknown":
            raise Reject("no-such-target", target="unknown")
        self.commands.append((arguments, who))
        return {}

    def _upload(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        if arguments.get("clip") == "404":
            raise Reject("no-such-clip", clip="404")
        if arguments.get("slot") == "done":
            raise Reject("slot-needs-no-upload", slot="done", recorder="1234567")
        self.commands.append((arguments, who))
        return {"recorder": "1234567", "clips": 12}

    def _ordered(self, slot: str, out_of_use: float | None) -> None:
        self.slots = [replace(one, out_of_use=out_of_use) if one.slot == slot else one for one in self.slots]

    def _receipt(self, docking: int) -> bytes:
        return f"receipt of {docking}".encode()

    def _kept(self, clip: int) -> Mapping[str, Any]:
        with self.catalog.reading() as db:
            return explain.facts(explain.explain(db, clip, Keeping(()), time.time(), False, ()))

    def _handin(self, day: date) -> Mapping[str, Any]:
        made = handin.report(self.catalog.read(), Roster(), day, day, time.time())
        return asdict(made)

    def _explain(self, arguments: Mapping[str, str], who: str) -> Mapping[str, Any]:
        self.commands.append((arguments, who))
        return {}

    def _listed(self, every: bool, after: int, limit: int) -> list[dict[str, Any]]:
        wanted = [row for row in self.findings if row["finding"] > after]
        return [row for row in wanted if every or row["state"] == "open"][:limit]

    def __enter__(self) -> "Station":
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        ended = self.server.stop(10)
        self.catalog.close()
        assert ended

    def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Answer:
        """Over TCP."""
        assert self.server.port is not None
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port, timeout=10)
        return _ask(connection, path, headers or {}, method)

    def get_local(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: bytes | None = None,
    ) -> Answer:
        """Over the Unix socket."""
        connection = http.client.HTTPConnection("localhost", timeout=10)
        connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.sock.settimeout(10)
        connection.sock.connect(str(self.socket))
        return _ask(connection, path, headers or {}, method, body)


def measured(catalog: Catalog, **changes: Any) -> Measured:
    """Of a station where everything is known."""
    moved = backlog.Moved(events.last(catalog.read()))
    usual: dict[str, Any] = {
        "amounts": lambda: backlog.by_state(catalog.read()),
        "moved": lambda: moved.look(catalog.read()),
        "waiting": lambda: 60.0,
        "deadline": lambda: 86400.0,
        "overdue": lambda: 0,
        "late_today": lambda: 1,
        "targets": lambda: {"centre": (True, 0.05, 12.0), "city": (False, None, None)},
        "clock_offset": lambda: 0.25,
        "log": lambda: (1000, 2, 4096),
        "unsafe_shutdowns": lambda: catalog.unsafe_shutdowns,
        "beats": lambda: [("dock", 1.0, 90.0), ("slot A1", 2.0, 120.0)],
        "scrub": lambda: Scrubbed(3, 3 << 20, 7200.0, 30 * 86400.0),
        "rotten": lambda: 0,
    }
    return Measured(**{**usual, **changes})


def collecting(slot: str = "1", **changes: Any) -> SlotStatus:
    shown: dict[str, Any] = {
        "state": SlotState.COLLECTING,
        "recorder": "8888888",
        "officer": "000123",
        "files_done": 3,
        "files_total": 12,
        "bytes_done": 1 << 30,
        "bytes_total": 4 << 30,
        "bytes_per_second": float(30 << 20),
        "problems": (Problem("still-recording", {"path": "a.mp4"}),),
        "since": 1_700_000_000.0,
    }
    return SlotStatus(slot, **{**shown, **changes})


def every_state() -> list[SlotStatus]:
    return [collecting(str(number), state=state) for number, state in enumerate(SlotState, 1)]


def some_counts() -> dict[str, int]:
    return {ClipState.CONFIRMED: 7, ClipState.STORED: 2}


def _ask(
    connection: http.client.HTTPConnection,
    path: str,
    headers: Mapping[str, str],
    method: str,
    body: bytes | None = None,
) -> Answer:
    try:
        connection.putrequest(method, path, skip_host="Host" in headers)
        for name, value in headers.items():
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return Answer(
            answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        )
    finally:
        connection.close()
