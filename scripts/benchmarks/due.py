"""Which clip next: asked of a catalog of a million clips, whenever an uploader has nothing to do."""

import time
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from sqlite3 import Connection

from agent.catalog import Catalog, reconfirm, waiting
from agent.catalog.home import catalog_path
from scripts.benchmarks import million
from scripts.benchmarks.machine import scratch
from scripts.benchmarks.measure import Bench, Figure

_BUSY = 4  # clips that other uploaders carry at the same time
_PICKS = 20
_LIMIT = 5  # ms
_HERE = (million.TARGET, million.PLACE)
_AWAY = ("mirror", "22222222-0000-4000-8000-000000000000")  # a store that has nothing yet

Pick = Callable[[Connection, Callable[[int], bool]], int | None]


def next_clip(bench: Bench) -> Iterable[Figure]:
    with scratch(bench.folder, "next") as folder:
        million.lay(bench, folder)
        path = catalog_path(folder)
        _greeted(path, _HERE)
        yield _figure(bench, path, "none waits", _to_send(*_HERE), finds=False)
        yield _figure(bench, path, "20,000 to be asked for again", _to_ask(long_ago=False), finds=True)
        yield _figure(bench, path, "none to be asked for again", _to_ask(long_ago=True), finds=False)
        bench.say("letting all clips wait ...")
        million.let_all_wait(path)
        _greeted(path, _AWAY)
        yield _figure(bench, path, "all wait", _to_send(*_AWAY), finds=True)
        yield _figure(bench, path, "all wait for another target", _to_send(*_HERE), finds=False)


def _greeted(path: Path, target: tuple[str, str]) -> None:
    """As when a target has said who it is."""
    with closing(Catalog.open(path)) as catalog:
        catalog.write(lambda tx: waiting.follow(tx, target[0], dict((_HERE, target))))


def _to_send(target: str, place: str) -> Pick:
    return lambda db, skip: waiting.next_due(db, target, place, skip)


def _to_ask(*, long_ago: bool) -> Pick:
    now = time.time()
    before = 0.0 if long_ago else now
    return lambda db, skip: reconfirm.next_to_ask(db, million.TARGET, million.PLACE, before, now, skip)


def _figure(bench: Bench, path: Path, what: str, pick: Pick, *, finds: bool) -> Figure:
    """The mean of some picks for each round, beside the first one on a cold cache."""
    first, others = list[float](), list[float]()
    for _ in range(bench.rounds):
        bench.cold.drop()
        with closing(Catalog.open(path)) as catalog:
            db, busy = catalog.read(), set[int]()
            first.append(_timed(pick, db, busy, finds))
            others.append(sum(_timed(pick, db, busy, finds) for _ in range(_PICKS)) / _PICKS)
    bench.say(f"next, {what}: {others[-1]:.2f} ms, the first {first[-1]:.2f} ms")
    note = f"the first one, from a cold disk: {min(first):.1f}–{max(first):.1f} ms"
    return Figure("next", f"of 1,000,000, {what}", "ms", others, _LIMIT, note=note)


def _timed(pick: Pick, db: Connection, busy: set[int], finds: bool) -> float:
    began = time.perf_counter()
    clip = pick(db, busy.__contains__)
    took = (time.perf_counter() - began) * 1000
    assert (clip is not None) is finds
    if clip is not None and len(busy) < _BUSY:
        busy.add(clip)
    return took
