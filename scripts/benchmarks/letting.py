"""Retention over a catalog of a million clips: deciding about all, and letting a tenth of them go."""

import os
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from agent.catalog import Catalog, door
from agent.catalog.home import catalog_path
from agent.config import RetentionConfig
from agent.ingest.store import Store
from agent.retention.book import Book, take_over
from agent.retention.plan import plan
from agent.retention.release import Release
from scripts.benchmarks import million
from scripts.benchmarks.machine import scratch
from scripts.benchmarks.measure import Bench, Figure

_DECIDE, _RELEASE = 10, 60  # seconds
_PAUSE = 0.02  # seconds between two commits of somebody else


def retention(bench: Bench) -> Iterable[Figure]:
    backlog, decided, released, waited = list[float](), list[float](), list[float](), list[float]()
    many = 5_000 if bench.quick else 100_000
    for _ in range(bench.rounds):
        with scratch(bench.folder, "letting") as folder:
            million.lay(bench, folder)
            million.let_all_be_confirmed(catalog_path(folder), time.time(), many)
            with closing(Catalog.open(catalog_path(folder))) as catalog:
                take_over(catalog, RetentionConfig())
                backlog.append(_decide(catalog))
            million.let_others_stay(catalog_path(folder), time.time(), many)
            with closing(Catalog.open(catalog_path(folder))) as catalog:
                decided.append(_decide(catalog))
                took, longest = _release(catalog, folder, many)
                released.append(took)
                waited.append(longest * 1000)
        bench.say(f"decided {decided[-1]:.1f} s, released {released[-1]:.1f} s, waited {waited[-1]:.0f} ms")
    yield Figure("retention", "deciding about 1,000,000 clips, a tenth of them due", "s", decided, _DECIDE)
    yield Figure("retention", "deciding about 1,000,000 clips, all of them due", "s", backlog)
    yield Figure("retention", "releasing 100,000 clips, files and all", "s", released, _RELEASE)
    yield Figure("retention", "longest wait of another commit meanwhile", "ms", waited)


def _decide(catalog: Catalog) -> float:
    began = time.perf_counter()
    with catalog.reading() as db:
        assert sum(1 for _ in plan(db, Book().keeping(db), time.time(), 0.0)) > 0
    return time.perf_counter() - began


def _release(catalog: Catalog, folder: Path, many: int) -> tuple[float, float]:
    """(seconds, the longest commit of somebody else in seconds)"""
    store, now = Store(folder, lambda: 0), time.time()
    for (key,) in catalog.read().execute("SELECT key FROM clips JOIN deliveries ON clip = id AND proved > 0"):
        path = store.path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        for file in (path, path.with_name(path.name + ".json")):
            file.write_bytes(b"x")
    release = Release(
        catalog,
        Book(),
        store.path,
        lambda: (1, 1, 0),
        lambda: RetentionConfig(release=True),
        lambda: [million.TARGET],
        lambda: now,
    )
    os.sync()  # what was written to prepare this is not waited for within it
    with _others(catalog) as commits:
        began = time.perf_counter()
        done = release.step()
        took = time.perf_counter() - began
    assert done.released == many
    return took, max(commits)


@contextmanager
def _others(catalog: Catalog) -> Iterator[list[float]]:
    """As dockings do: somebody commits all the time."""
    ended, took = threading.Event(), [0.0]

    def commit() -> None:
        while not ended.wait(_PAUSE):
            began = time.perf_counter()
            catalog.write(_tick)
            took.append(time.perf_counter() - began)

    thread = threading.Thread(target=commit)
    thread.start()
    try:
        yield took
    finally:
        ended.set()
        thread.join()


def _tick(tx: sqlite3.Connection) -> None:
    door.note(tx, "tick", None, {})
