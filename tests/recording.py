"""A recorder with a counter and a clock, its cards, and stations at which it is docked: completeness without
a medium. What a station commits is what ingest commits; only the bytes are made up."""

import hashlib
import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, findings, intake, visits
from agent.custody.completeness.judge import Judge
from agent.ingest.store import key_for
from agent.model import Identity, Manifest, SourceClip, raw
from drivers import names

RECORDER = "8888888"
SEGMENT = timedelta(minutes=10)
START = datetime(2026, 8, 4, 8)


@dataclass(frozen=True)
class File:
    sequence: int
    at: datetime
    length: timedelta
    kind: str = "video"
    important: bool = False

    @property
    def name(self) -> str:
        ending = {"video": "mp4", "photo": "jpg", "audio": "wav", "sidecar": "log"}[self.kind]
        mark = "_IMP" if self.important else ""
        return f"{RECORDER}_000123_{self.at:%Y%m%d%H%M%S}_{self.sequence:04}{mark}.{ending}"

    @property
    def source(self) -> SourceClip:
        said = names.parse(self.name)
        ended = (self.at + self.length).replace(tzinfo=UTC)
        ended -= timedelta(seconds=ended.second % 2)  # as FAT keeps it
        mtime_ns = int(ended.timestamp()) * 10**9
        return SourceClip(
            f"DCIM/{self.name}", 1000 + self.sequence, mtime_ns, self.kind, self.important, said.officer,
            said.sequence, said.recorded_at, "name", True,
        )  # fmt: skip


@dataclass
class Recorder:
    """`last`: the number of the newest file; `top`: after it the counter begins anew."""

    last: int = 0
    top: int = 9999
    now: datetime = START
    card: str = "CARD-1"
    cards: dict[str, list[File]] = field(default_factory=dict)
    restarts_at: int = 1

    @property
    def files(self) -> list[File]:
        return self.cards.setdefault(self.card, [])

    def take(self, length: timedelta = timedelta(seconds=90), kind: str = "video") -> File:
        """One file of that length, and a pause."""
        self.last = self.last + 1 if self.last < self.top else self.restarts_at
        made = File(self.last, self.now, length, kind)
        self.files.append(made)
        self.now += length + timedelta(minutes=7)
        return made

    def record(self, length: timedelta) -> list[File]:
        """One recording, which is cut into segments."""
        made = []
        while length > timedelta():
            one = self.take(min(length, SEGMENT))
            made.append(one)
            length -= one.length
            if length > timedelta():
                self.now = one.at + one.length + timedelta(seconds=1)
        return made

    def several(self, count: int, kind: str = "video") -> list[File]:
        return [self.take(kind=kind) for _ in range(count)]

    def erase(self, *files: File) -> None:
        for one in files:
            self.files.remove(one)

    def mark(self, one: File) -> File:
        """As important: it is renamed."""
        marked = replace(one, important=True)
        self.files[self.files.index(one)] = marked
        return marked


class Station:
    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog.open(path / "catalog.db")
        self.judge = Judge(self.catalog)
        self.at = 1_700_000_000.0

    def dock(
        self,
        recorder: Recorder,
        *,
        collect: int = 10**9,
        listed: bool = True,
        identity: Identity | None = None,
        judge: bool = True,
        pause: float = 3000,
    ) -> list[str]:
        """Its card, of which so many files are collected before it is pulled, `pause` seconds after the last
        docking. The rules of what was found."""
        who = identity or Identity(RECORDER, True, recorder.card, "000123")
        sources = [file.source for file in recorder.files]
        self.at += pause
        at, self.at = self.at, self.at + 600

        def work(tx: Any) -> None:
            docking = intake.begin_docking(tx, "A1", who)
            clips: dict[int, SourceClip] = {}
            fresh = []
            for source in sources:
                met = intake.known(tx, who, source)
                if met and met[0].state == "missing":
                    intake.see_again(tx, met[0].clip, met[0].state, docking)
                if met:
                    clips[met[0].clip] = source
                else:
                    fresh.append(source)
            clips.update(zip(intake.see(tx, docking, who, fresh), fresh, strict=True))
            if listed:
                strayed = intake.strayed(tx, who, {source.path for source in sources})
                intake.end_listing(tx, who, docking, set(clips), strayed)
            pending = [
                (clip, source)
                for clip, source in clips.items()
                if _state(tx, clip) in ("seen", "quarantined")
            ]
            for clip, source in pending[:collect]:
                self._collect(tx, clip, source, docking, who)
            intake.end_docking(tx, docking, "collected" if len(pending) <= collect else "pulled")
            # Long ago: no test waits for the grace of a docking.
            tx.execute("UPDATE dockings SET started = ?, ended = ? WHERE id = ?", (at, at + 600, docking))

        self.catalog.write(work)
        return self.look() if judge else []

    def _collect(self, tx: Any, clip: int, source: SourceClip, docking: int, who: Identity) -> None:
        intake.start(tx, [clip], docking)
        digest = hashlib.sha256(f"{source.sequence} {source.recorded_at} {source.kind}".encode())
        manifest = Manifest(source.size, 1 << 20, (digest.digest(),), digest.hexdigest())
        if intake.describe(tx, clip, manifest, key_for(who, source, manifest), b"samples") is None:
            intake.store(tx, [clip])

    def look(self) -> list[str]:
        """Judge what is due; the rules of what was found by it."""
        before = self.catalog.read().execute("SELECT coalesce(max(id), 0) FROM findings").fetchone()[0]
        self.judge.step()
        assert not self.judge.failing
        rows = self.catalog.read().execute("SELECT rule FROM findings WHERE id > ? ORDER BY id", (before,))
        return [row[0] for row in rows]

    def findings(self) -> list[dict[str, Any]]:
        return findings.rows(self.catalog.read(), every=True, after=0, limit=1000)

    def open(self) -> list[dict[str, Any]]:
        return findings.rows(self.catalog.read(), every=False, after=0, limit=1000)

    def events(self, kind: str) -> list[dict[str, Any]]:
        rows = self.catalog.read().execute("SELECT body FROM events WHERE kind = ? ORDER BY seq", (kind,))
        return [json.loads(row[0]) for row in rows]

    def keys(self) -> Collection[str]:
        rows = self.catalog.read().execute("SELECT key FROM clips WHERE key IS NOT NULL")
        return {row[0] for row in rows}

    def due(self) -> list[str]:
        return visits.due(self.catalog.read())

    def close(self) -> None:
        self.catalog.close()


def _state(tx: Any, clip: int) -> str:
    return str(tx.execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])


def path_of(file: File) -> bytes:
    return raw(file.source.path)
