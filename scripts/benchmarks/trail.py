"""The log behind a catalog of years: what an entry costs, in time and on the disk, and a proof of any."""

import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from random import Random
from sqlite3 import Connection

from agent.catalog import Catalog, door
from agent.catalog.home import catalog_path
from agent.custody.log.keeper import Keeper
from agent.custody.log.reading import Log
from scripts.benchmarks import million
from scripts.benchmarks.machine import scratch
from scripts.benchmarks.measure import Bench, Figure

STATION = "0123456789abcdef" * 2
_BATCH = 100  # events of one commit
_BATCHES = 20  # of a round
_PROOFS = 50  # of a round
LIMIT, BYTES, PROOF = 0.3, 600, 20  # ms an entry, bytes an entry, ms a proof


def log(bench: Bench) -> Iterable[Figure]:
    clips = 500 if bench.quick else 140_000
    with scratch(bench.folder, "log") as folder:
        path = catalog_path(folder)
        path.parent.mkdir()
        bench.say(f"building a catalog of {clips:,} clips ...")
        million.build(path, clips)
        with closing(Catalog.open(path)) as catalog:
            keeper = Keeper(catalog, folder / "custody", STATION)
            while keeper.step():
                pass
            entries = Log(folder / "custody" / "1").head.size
            bench.say(f"its log has {entries:,} entries")
            appended = [append(catalog, keeper) for _ in range(bench.rounds)]
            own = size(folder / "custody") / Log(folder / "custody" / "1").head.size
            yield Figure("log", "an entry of a batch of 100, on the disk and signed", "ms", appended, LIMIT)
            yield Figure("log", f"an entry of {entries:,}, all included", "B", [own], BYTES)
            proofs = [_prove(bench, folder / "custody" / "1") for _ in range(bench.rounds)]
            yield Figure("log", f"the proof of any of {entries:,}, from a cold disk", "ms", proofs, PROOF)


def append(catalog: Catalog, keeper: Keeper) -> float:
    """The mean of some batches. The commit of the events is not the log's."""
    took = 0.0
    for _ in range(_BATCHES):
        catalog.write(_batch)
        began = time.perf_counter()
        while keeper.step():
            pass
        took += time.perf_counter() - began
    assert not keeper.problems()
    return took * 1000 / (_BATCHES * _BATCH)


def _batch(tx: Connection) -> None:
    facts = {"from": "uploaded", "to": "confirmed", "target": "centre", "receipt": {"sha256": "0" * 64}}
    for _ in range(_BATCH):
        door.note(tx, "confirmed", None, facts)


def _prove(bench: Bench, folder: Path) -> float:
    rng, took = Random(len(folder.name)), 0.0
    for _ in range(_PROOFS):
        bench.cold.drop()
        began = time.perf_counter()
        log = Log(folder)
        log.proof(rng.randrange(log.head.size))
        took += time.perf_counter() - began
    return took * 1000 / _PROOFS


def size(folder: Path) -> int:
    """As the disk counts it."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*"))
