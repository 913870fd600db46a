"""The log of a station of decades: ten million entries, each step in a process of its own, whose memory is
its own, too.

`python -m scripts.benchmarks.longest FOLDER STEP [ENTRIES]`, of the steps below; the scenario `log-long` runs
them all.
"""

import json
import resource
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from random import Random
from statistics import median
from typing import Any

from agent.catalog import Catalog
from agent.catalog.home import catalog_path
from agent.custody.audit.finding import Looked
from agent.custody.audit.store import audit
from agent.custody.log.keeper import Keeper
from agent.custody.log.reading import Log
from scripts.benchmarks import million, trail
from scripts.benchmarks.machine import Cold, scratch
from scripts.benchmarks.measure import Bench, BenchError, Figure

ENTRIES = 10_000_000
_CLIPS = 1.0 / 7.0  # of an entry
_PROOFS = 200
_APPENDS = 10  # measures, each of some batches of 100
_START = 1.0  # seconds


def log_long(bench: Bench) -> Iterable[Figure]:
    entries = 20_000 if bench.quick else ENTRIES
    with scratch(bench.folder, "log-long") as folder:
        for name in STEPS:
            bench.say(f"{name}, {entries:,} entries ...")
            yield from _figures(name, _step(folder, name, entries))


def _step(folder: Path, name: str, entries: int) -> Mapping[str, Any]:
    command = [sys.executable, "-m", __name__, str(folder), name, str(entries)]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=False, encoding="utf-8")
    if done.returncode:
        raise BenchError(f"{name} of log-long ended with {done.returncode}")
    print(done.stdout, file=sys.stderr, end="", flush=True)
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def _figures(name: str, told: Mapping[str, Any]) -> Iterable[Figure]:
    said: Mapping[str, list[tuple[str, str, str, float | None]]] = {
        "follow": [
            ("an entry of a backlog", "ms", "entry_ms", trail.LIMIT),
            ("memory of the keeper, at most", "MiB", "memory", None),
        ],
        "append": [
            ("an entry of a batch of 100, on the disk and signed", "ms", "entry_ms", trail.LIMIT),
            ("an entry: tiles, heads and entries", "B", "log_bytes", None),
            ("an entry: its row in the catalog", "B", "row_bytes", None),
            ("an entry, all included", "B", "all_bytes", trail.BYTES),
        ],
        "start": [("a start, from a cold disk", "s", "seconds", _START)],
        "prove": [
            ("a proof of any, from a cold disk", "ms", "cold_ms", trail.PROOF),
            ("a proof of any, the slowest", "ms", "slowest_ms", trail.PROOF),
            ("memory of who proves, at most", "MiB", "memory", None),
        ],
        "check": [
            ("an audit of all", "s", "seconds", None),
            ("memory of the audit, at most", "MiB", "memory", None),
        ],
    }
    for what, unit, key, limit in said.get(name, []):
        yield Figure("log-long", what, unit, [float(told[key])], limit)


def build(folder: Path, entries: int) -> dict[str, Any]:
    """A catalog of as many events, and nothing else: what else lies in it is nothing to the log."""
    path = catalog_path(folder)
    path.parent.mkdir()
    million.build(path, 0)
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA synchronous = OFF")
        db.execute("PRAGMA cache_size = -400000")
        rows = islice(million.events(round(entries * _CLIPS) + 1), entries)
        while several := list(islice(rows, 50_000)):
            db.execute("BEGIN")
            db.executemany("INSERT INTO events VALUES (?, ?, ?, ?, ?, ?, ?)", several)
            db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return {}


def follow(folder: Path, entries: int) -> dict[str, Any]:
    """The log takes over what happened before it began."""
    with closing(Catalog.open(catalog_path(folder))) as catalog:
        keeper = Keeper(catalog, folder / "custody", trail.STATION)
        began, cpu = time.perf_counter(), time.process_time()
        while keeper.step():
            pass
        took, worked = time.perf_counter() - began, time.process_time() - cpu
        assert not keeper.problems()
    size = _log(folder).head.size
    assert size > entries
    return {"entries": size, "seconds": took, "entry_ms": took * 1000 / size, "cpu_ms": worked * 1000 / size}


def append(folder: Path, entries: int) -> dict[str, Any]:
    with closing(Catalog.open(catalog_path(folder))) as catalog:
        keeper = Keeper(catalog, folder / "custody", trail.STATION)
        keeper.step()
        first, cpu = _log(folder).head.size, time.thread_time()  # what the commits cost is another thread's
        runs = [trail.append(catalog, keeper) for _ in range(_APPENDS)]
        worked = (time.thread_time() - cpu) * 1000 / (_log(folder).head.size - first)
    rows = catalog_path(folder).stat().st_size / _log(folder).head.size
    lies = trail.size(folder / "custody") / _log(folder).head.size
    return {
        "entry_ms": median(runs),
        "worst_ms": max(runs),
        "cpu_ms": worked,
        "row_bytes": rows,
        "log_bytes": lies,
        "all_bytes": rows + lies,
    }


def start(folder: Path, entries: int) -> dict[str, Any]:
    Cold(folder).drop()
    began = time.perf_counter()
    with closing(Catalog.open(catalog_path(folder))) as catalog:
        opened = time.perf_counter()
        keeper = Keeper(catalog, folder / "custody", trail.STATION)
        keeper.step()
        took = time.perf_counter() - opened
        assert not keeper.problems()
    return {"seconds": took, "catalog_seconds": opened - began}


def prove(folder: Path, entries: int) -> dict[str, Any]:
    cold, rng, took = Cold(folder), Random(7), list[float]()
    for _ in range(_PROOFS):
        cold.drop()
        began = time.perf_counter()
        log = _log(folder)
        log.proof(rng.randrange(log.head.size))
        took.append((time.perf_counter() - began) * 1000)
    return {"cold_ms": median(took), "slowest_ms": max(took), "cold": cold.how}


def check(folder: Path, entries: int) -> dict[str, Any]:
    looked, last = Looked(), [time.monotonic()]

    def progress(now: Looked) -> None:
        if time.monotonic() - last[0] > 60:
            last[0] = time.monotonic()
            print(f"audit: {now.entries:,}", file=sys.stderr, flush=True)

    looked.progress = progress
    began, cpu = time.perf_counter(), time.process_time()
    found = list(audit(folder, looked))
    assert not found, found[:3]
    return {
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
        "heads": looked.heads,
        "entries": looked.entries,
    }


STEPS: Mapping[str, Callable[[Path, int], dict[str, Any]]] = {
    "build": build,
    "follow": follow,
    "append": append,
    "start": start,
    "prove": prove,
    "check": check,
}


def _log(folder: Path) -> Log:
    return Log(folder / "custody" / "1")


if __name__ == "__main__":
    told = STEPS[sys.argv[2]](Path(sys.argv[1]), int(sys.argv[3]) if len(sys.argv) > 3 else ENTRIES)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"step": sys.argv[2], **told, "memory": peak}), flush=True)
