"""Clips that are stored, without a recorder and without ingest: what upload starts from."""

import hashlib
import json
import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, intake
from agent.config import RetentionConfig
from agent.config.retention import RetentionClass
from agent.model import Identity, Manifest, SourceClip, StoredClip, spans
from agent.retention.keeping import Keeping
from agent.retention.locks import lock
from agent.retention.rules import DAY, ruleset
from agent.upload.limits import Limits
from agent.upload.retry import Backoff
from agent.upload.scheduler import Locker, Uploads
from agent.upload.targets.base import LocalReader, Target
from agent.upload.targets.folder import FolderTarget

PART = 1 << 16  # small, so that a clip of many parts is quick
WHO = Identity("8888888", True, "AAAA-BBBB")


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(f"{seed} {size}").randbytes(size)


def manifest_of(data: bytes, part_size: int = PART) -> Manifest:
    parts = tuple(
        hashlib.sha256(data[at : at + length]).digest() for at, length in spans(len(data), part_size)
    )
    return Manifest(len(data), part_size, parts, hashlib.sha256(data).hexdigest())


KEY = "8888888/2026-01-01/clip.0123456789abcdef.mp4"


def clip_of(data: bytes, key: str = KEY, part_size: int = PART) -> StoredClip:
    document = {"format": 1, "recorder": "8888888", "officer": "王伟"}
    return StoredClip(1, key, manifest_of(data, part_size), document)


class Bytes(LocalReader):
    """Bytes in memory; raises `error` instead of giving what lies at or after `fails_at`."""

    def __init__(self, data: bytes, fails_at: int | None = None, error: Exception | None = None) -> None:
        self.data = data
        self._fails_at = fails_at
        self._error = error or InterruptedTest()
        self.read = 0  # bytes that were read for sending

    def pread(self, length: int, offset: int) -> bytes:
        data = self.look(length, offset)
        self.read += len(data)
        return data

    def look(self, length: int, offset: int) -> bytes:
        if self._fails_at is not None:
            if offset >= self._fails_at:
                raise self._error
            length = min(length, self._fails_at - offset)
        return self.data[offset : offset + length]


class InterruptedTest(Exception):
    """The sender dies here."""


def send_all(target: Target, clip: StoredClip, token: str, reader: Bytes) -> str:
    position = target.position(clip, token)
    for offset, length in spans(clip.manifest.size, clip.manifest.part_size):
        if offset >= position:
            token = target.send(clip, token, reader, offset, length)
    return token


class Clock:
    """Monotonic and wall time that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.trusted = True
        self.epoch = time.time() - self.now  # the catalog's own times are those of this machine

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.epoch + self.now


def locked(ordinary: float = 183 * DAY, important: float = math.inf) -> Locker:
    """Clips are locked at the centre for these periods, in seconds."""
    classes = {"ordinary": RetentionClass(centre=ordinary), "important": RetentionClass(centre=important)}
    keeping = Keeping(ruleset(RetentionConfig(classes=classes)))
    return lambda db, clip, now: lock(db, clip, keeping, now)


class Counted(FolderTarget):
    """A folder target that counts the bytes it took."""

    taken = 0

    def send(self, clip: StoredClip, token: str, reader: LocalReader, offset: int, length: int) -> str:
        token = super().send(clip, token, reader, offset, length)
        self.taken += length
        return token


class Station:
    """A catalog, a folder of clips and one folder target (or those given), uploading in step."""

    def __init__(self, root: Path, targets: dict[str, Target] | None = None) -> None:
        self.root = root
        self.clips = root / "store"
        self.share = root / "share"
        self.clips.mkdir(parents=True, exist_ok=True)
        if targets is None:
            self.share.mkdir(exist_ok=True)
            targets = {"centre": Counted("centre", self.share, first_contact=True)}
        self.targets = targets
        self.clock = Clock()
        self.limits = Limits()
        self.catalog = Catalog.open(root / "catalog.db")
        self.uploads = self.make_uploads()

    def make_uploads(self, workers: int = 2, read_back: float = 0.0, **more: Any) -> Uploads:
        return Uploads(
            self.catalog,
            self.targets,
            self.path,
            workers=workers,
            read_back=read_back,
            limits=self.limits,
            backoff=Backoff(),
            rng=random.Random(1),
            monotonic=self.clock,
            wall=self.clock.wall,
            **{"trusted": lambda: self.clock.trusted, "lock": locked(), **more},
        )

    def path(self, key: str) -> Path:
        return self.clips / key

    def store(
        self,
        name: str,
        data: bytes,
        *,
        important: bool = False,
        recorded: datetime | None = None,
        part_size: int = PART,
    ) -> int:
        """A clip that ingest has finished with."""
        source = SourceClip(f"DCIM/{name}", len(data), 5, important=important, recorded_at=recorded)
        manifest = manifest_of(data, part_size)
        key = f"8888888/2026-01-01/{name}.{manifest.sha256[:16]}"
        path = self.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

        def work(tx: Any) -> int:
            docking = intake.begin_docking(tx, "A1", WHO)
            clip = intake.see(tx, docking, WHO, [source])[0]
            intake.start(tx, [clip], docking)
            intake.describe(tx, clip, manifest, key, b"samples")
            intake.store(tx, [clip])
            return clip

        return self.catalog.write(work)

    def key(self, clip: int) -> str:
        return str(self.catalog.read().execute("SELECT key FROM clips WHERE id = ?", (clip,)).fetchone()[0])

    def state(self, clip: int) -> str:
        return str(self.catalog.read().execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])

    def states(self) -> set[str]:
        return {row[0] for row in self.catalog.read().execute("SELECT state FROM clips")}

    def delivery(self, clip: int, target: str = "centre") -> dict[str, Any]:
        row = (
            self.catalog.read()
            .execute("SELECT * FROM deliveries WHERE clip = ? AND target = ?", (clip, target))
            .fetchone()
        )
        return dict(row) if row else {}

    def events(self, clip: int) -> list[tuple[str, dict[str, Any]]]:
        rows = self.catalog.read().execute(
            "SELECT kind, body FROM events WHERE clip = ? ORDER BY seq", (clip,)
        )
        return [(row[0], json.loads(row[1])) for row in rows]

    def taken(self) -> int:
        """Bytes that the targets took."""
        return sum(target.taken for target in self.targets.values() if isinstance(target, Counted))

    def run(self, steps: int = 1000) -> int:
        """Step until nothing is due now; the number of steps."""
        for done in range(steps):
            if not self.uploads.step():
                return done
        raise AssertionError("there is always something to do")

    def at_centre(self, clip: int) -> bytes:
        return (self.share / "clips" / self.key(clip)).read_bytes()

    def close(self) -> None:
        assert self.uploads.stop(10)
        self.catalog.close()


@contextmanager
def running(uploads: Uploads) -> Iterator[Uploads]:
    """With its threads; they have ended afterwards."""
    uploads.start()
    try:
        yield uploads
    finally:
        assert uploads.stop(10)


def eventually(true: Callable[[], bool], seconds: float = 30) -> None:
    """Wait for a promise without a time in it; `seconds` only ends a test that fails."""
    pause = threading.Event()
    for _ in range(int(seconds * 100)):
        if true():
            return
        pause.wait(0.01)
    raise AssertionError("it did not come to pass")
