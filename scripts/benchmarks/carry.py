"""The uploaders alone, in a process of its own: catalog, targets and uploads as the station has them, without
its threads for ports, ingest and screens.

    python -m scripts.benchmarks.carry FOLDER

takes FOLDER/station.yaml, lets the catalog know the clips of FOLDER/clips.json, wakes the uploaders, waits
until every clip is confirmed, and prints one JSON object.
"""

import json
import os
import resource
import sqlite3
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypedDict

from agent.catalog import Catalog, deliveries, intake, queries
from agent.catalog.home import catalog_path
from agent.config import Config, load
from agent.ingest.store import Store
from agent.model import ClipState, Identity, Manifest, SourceClip
from agent.retention.keeping import Keeping
from agent.retention.locks import lock
from agent.retention.rules import ruleset
from agent.upload.build import build
from agent.upload.limits import Limits
from agent.upload.scheduler import Uploads
from scripts.benchmarks.machine import forget_memory_peak, memory_now, memory_peak

_WHO = Identity("0000001", True, "0001-BE7C")
_SETTLE = 1.0  # seconds: a greeted target is swept once
_LOOK = 0.02  # seconds: rarer than would disturb what is measured
_PATIENCE = 1800.0


class Clip(TypedDict):
    """A file of the store, as ingest would have left it. Digests in hex."""

    key: str
    size: int
    part_size: int
    parts: list[str]
    sha256: str


class Told(TypedDict):
    seconds: float  # from the wake-up to the last commit
    cpu: float  # seconds, within that time
    idle: int  # bytes of memory before
    peak: int  # at most


def main(folder: Path) -> int:
    config = load(folder / "station.yaml")
    clips: list[Clip] = json.loads((folder / "clips.json").read_text())
    with closing(Catalog.open(catalog_path(config.store.path))) as catalog:
        uploads = _uploads(config, catalog)
        uploads.start()
        try:
            _wait(uploads, lambda: all(facts.greeted for facts in uploads.facts().values()))
            catalog.write(lambda tx: _take_in(tx, clips))
            time.sleep(_SETTLE)
            told = _carry(catalog, uploads)
        finally:
            uploads.stop(10)
        if (confirmed := queries.counts(catalog.read())[ClipState.CONFIRMED]) != len(clips):
            print(f"{confirmed} of {len(clips)} clips are confirmed", file=sys.stderr)
            return 1
    print(json.dumps(told))
    return 0


def _uploads(config: Config, catalog: Catalog) -> Uploads:
    store, limits = Store(config.store.path, lambda: 0), Limits()
    limits.set(config.upload)
    keeping = Keeping(ruleset(config.retention))
    return Uploads(
        catalog,
        build(config.targets, lambda name, address: "", store.path("")),
        store.path,
        workers=config.upload.uploaders,
        reconfirm=config.upload.reconfirm,
        read_back=config.upload.read_back_percent / 100,
        limits=limits,
        lock=lambda db, clip, now: lock(db, clip, keeping, now),
    )


def _take_in(tx: sqlite3.Connection, clips: Sequence[Clip]) -> None:
    """As ingest does, all at once."""
    docking = intake.begin_docking(tx, "A1", _WHO)
    sources = [SourceClip(f"DCIM/{clip['key']}", clip["size"], 1) for clip in clips]
    ids = intake.see(tx, docking, _WHO, sources)
    intake.start(tx, ids, docking)
    for id, clip in zip(ids, clips, strict=True):
        parts = tuple(bytes.fromhex(part) for part in clip["parts"])
        manifest = Manifest(clip["size"], clip["part_size"], parts, clip["sha256"])
        intake.describe(tx, id, manifest, clip["key"], bytes(32))
    intake.store(tx, ids)


def _carry(catalog: Catalog, uploads: Uploads) -> Told:
    idle = memory_now(os.getpid())
    forget_memory_peak()
    before, began = _cpu(), time.perf_counter()
    uploads.notify()
    _wait(uploads, lambda: deliveries.queue(catalog.read())[0] == 0)
    seconds, cpu = time.perf_counter() - began, _cpu() - before
    return {"seconds": seconds, "cpu": cpu, "idle": idle, "peak": memory_peak(os.getpid())}


def _wait(uploads: Uploads, true: Callable[[], bool]) -> None:
    """Raises SystemExit when a target fails: what comes after a wait of the uploaders is no measurement."""
    end = time.monotonic() + _PATIENCE
    while not true():
        if failed := [facts.problem for facts in uploads.facts().values() if facts.problem]:
            raise SystemExit(f"the target fails: {failed}")
        if time.monotonic() > end:
            raise SystemExit(f"not done after {_PATIENCE:.0f} s")
        time.sleep(_LOOK)


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
