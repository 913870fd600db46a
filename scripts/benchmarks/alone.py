"""One recorder and nothing else: a long clip, and ten thousand short ones."""

import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict, cast

from scripts.benchmarks.machine import scratch
from scripts.benchmarks.measure import Bench, BenchError, Figure, ratios, seconds_note
from scripts.benchmarks.peers import copy_and_sums, floor
from scripts.benchmarks.recorder import make_recorder


class _Told(TypedDict):
    seconds: list[float]
    stored: int
    cpu: float
    rss: int


def one_slot(bench: Bench) -> Iterable[Figure]:
    size = (32 << 20) if bench.quick else (1 << 30)
    told: list[_Told] = []
    with scratch(bench.folder, "source") as source:
        recorder = make_recorder(source / "recorder", number=1, files=1, size=size)

        def ingest(folder: Path) -> float:
            told.append(_collect(recorder, folder, files=1, times=1))
            return told[-1]["seconds"][0]

        seconds = bench.contest(
            "one-slot",
            {
                "ingest": ingest,
                "floor": floor(recorder, bench.cold),
                "cp+sums": copy_and_sums(recorder, bench.cold),
            },
        )
    note = seconds_note(seconds)
    ours = seconds["ingest"]
    yield Figure("one-slot", "1 GiB: ingest / floor", "×", ratios(ours, seconds["floor"]), 1.7, note=note)
    yield Figure("one-slot", "1 GiB: ingest / cp+sums", "×", ratios(ours, seconds["cp+sums"]), 0.5, note=note)
    yield Figure("one-slot", "CPU", "s", [run["cpu"] for run in told], note="with Python's start")
    yield Figure("one-slot", "RSS peak", "MiB", [run["rss"] / (1 << 20) for run in told])


def small_files(bench: Bench) -> Iterable[Figure]:
    files = 300 if bench.quick else 10_000
    told: list[_Told] = []
    with scratch(bench.folder, "source") as source:
        recorder = make_recorder(source / "recorder", number=2, files=files, size=64 << 10)

        def ingest(folder: Path) -> float:
            told.append(_collect(recorder, folder, files=files, times=2))
            return told[-1]["seconds"][0]

        seconds = bench.contest(
            "small-files", {"ingest": ingest, "cp+sums": copy_and_sums(recorder, bench.cold)}
        )
    again = [run["seconds"][1] for run in told]
    note = seconds_note(seconds)
    ratio = ratios(seconds["ingest"], seconds["cp+sums"])
    yield Figure("small-files", "10,000 × 64 KiB: ingest / cp+sums", "×", ratio, 0.8, note=note)
    yield Figure("small-files", "docked again, unchanged", "s", again, 5)
    yield Figure("small-files", "CPU", "s", [run["cpu"] for run in told], note="both dockings")
    yield Figure("small-files", "RSS peak", "MiB", [run["rss"] / (1 << 20) for run in told])


def _collect(recorder: Path, folder: Path, files: int, times: int) -> _Told:
    module = "scripts.benchmarks.collect"
    command = [sys.executable, "-P", "-m", module, str(recorder), str(folder), str(times)]
    told = cast(_Told, json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout))
    if told["stored"] != files:
        raise BenchError(f"{told['stored']} of {files} clips are stored")
    return told
