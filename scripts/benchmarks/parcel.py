"""An evidence package: what checking it costs beside hashing its files and nothing else."""

import os
import statistics
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from agent.catalog import Catalog, beside
from agent.catalog.home import catalog_path
from agent.cli.export import both
from agent.custody.evidence import export, exported
from agent.custody.evidence.export import Asked
from agent.custody.evidence.gathering import gather
from agent.custody.evidence.packing import packing
from agent.custody.log.keeper import Keeper
from agent.custody.log.reading import Log
from agent.custody.texts import Texts
from scripts.benchmarks.machine import scratch
from scripts.benchmarks.measure import Bench, BenchError, Figure, ratios
from scripts.benchmarks.recorder import make_recorder

_STATION = "0123456789abcdef" * 2
_LIMIT = 1.1  # of the user CPU that hashing takes
_HASH = """
import hashlib, os, sys
for base, _, names in os.walk(sys.argv[1]):
    for name in names:
        digest = hashlib.sha256()
        with open(os.path.join(base, name), "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
"""


def package(bench: Bench) -> Iterable[Figure]:
    files, size = (4, 64 << 10) if bench.quick else (64, 16 << 20)
    with scratch(bench.folder, "package") as folder:
        bag = _package(folder, files, size)
        alone, checked = list[float](), list[float]()
        for turn in range(bench.rounds):
            both_ways = [(alone, ["-c", _HASH, str(bag)]), (checked, [str(bag / "data/verify.py"), str(bag)])]
            for taken, arguments in both_ways[:: 1 if turn % 2 else -1]:
                taken.append(_user_seconds(arguments))
            bench.say(
                f"package {turn + 1}/{bench.rounds}: hashing {alone[-1]:.2f} s, checking {checked[-1]:.2f} s"
            )
        note = f"hashing {statistics.median(alone):.2f} s, checking {statistics.median(checked):.2f} s"
        what = f"checking {files} clips of {size >> 10} KiB / hashing the files, user CPU"
        yield Figure("package", what, "×", ratios(checked, alone), _LIMIT, note=note)


def _package(folder: Path, files: int, size: int) -> Path:
    make_recorder(folder / "recorder", number=8_888_888, files=files, size=size)
    command = [sys.executable, "-m", "scripts.benchmarks.collect", str(folder / "recorder"), str(folder), "1"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    with closing(Catalog.open(catalog_path(folder))) as catalog:
        return _exported(catalog, folder)


def _exported(catalog: Catalog, folder: Path) -> Path:
    """`folder`: with `store` and `catalog` as collect lays them out."""
    store = folder / "store"

    def log() -> Log:
        keeper = Keeper(catalog, folder / "custody", _STATION)
        while keeper.step():
            pass
        return Log(folder / "custody" / "1")

    asked = Asked("n", "r", since="2000-01-01")
    orders = exported.commands(catalog, Texts(store))
    with beside.reading(folder) as db, packing(folder / "bag") as pack:
        found = gather(export.choose(db, asked), store, pack, lambda clip, put: [])
        clips = ",".join(map(str, found.clips))
        ask = orders["export-ask"]({"clips": clips, "person": "n", "reason": "r"}, "uid 0")["asked"]
        plan = export.plan(db, store, log().origin, asked, found, ask, both)
        answer = orders["export"]({"asked": str(ask), "clips": clips, "contents": plan.contents}, "uid 0")
        export.write(plan, asked, log, store, pack, answer)
    return folder / "bag"


def _user_seconds(arguments: list[str]) -> float:
    """Of a Python with nothing but its standard library."""
    child = subprocess.Popen([sys.executable, "-I", "-S", *arguments], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise BenchError(f"{arguments[0][:40]} ended with {child.returncode}")
    return used.ru_utime
