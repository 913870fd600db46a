"""Measures the station beside its peers and prints a table: docs/benchmarks.md says what is compared."""

import argparse
import json
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from scripts.benchmarks import (
    alone,
    centre,
    due,
    letting,
    longest,
    pages,
    parcel,
    rack,
    screens,
    trail,
    years,
)
from scripts.benchmarks.machine import Cold
from scripts.benchmarks.measure import Bench, BenchError, Figure

ROOT = Path(__file__).parents[2]
ROUNDS = 7
SCENARIOS: Mapping[str, Callable[[Bench], Iterable[Figure]]] = {
    "one-slot": alone.one_slot,
    "sixteen": rack.sixteen,
    "small-files": alone.small_files,
    "arrival": rack.arrival,
    "start": years.start,
    "idle": years.idle,
    "next": due.next_clip,
    "screens": screens.screens,
    "pages": pages.pages,
    "retention": letting.retention,
    "log": trail.log,
    "package": parcel.package,
    "log-long": longest.log_long,
    "s3": centre.s3,
    "tus": centre.tus,
    "s3-memory": centre.memory,
    "s3-small": centre.short_clips,
}
ON_DEMAND = {"log-long"}  # an hour, and 8 GiB of room
_FINE = ("", "ok", "not here")
_NEEDED = 16 << 30  # bytes: the catalog twice, and three times what sixteen recorders bring


def main() -> int:
    options = _options()
    folder = options.dir.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    if not options.quick and shutil.disk_usage(folder).free < _NEEDED:
        print(f"scripts/bench: {folder} needs {_NEEDED >> 30} GiB of room", file=sys.stderr)
        return 2
    bench = Bench(folder, options.rounds, options.quick, Cold(folder), options.libraries)
    began = time.time()
    try:
        machine = _machine(bench)
        figures = [figure for name in options.only or _usual() for figure in SCENARIOS[name](bench)]
    except BenchError as error:
        print(f"scripts/bench: {error}", file=sys.stderr)
        return 1
    finally:
        if not options.keep:
            for catalog in folder.glob("catalog-*.db"):
                catalog.unlink()
    machine["load_after"] = os.getloadavg()[0]
    if options.json:
        told = [figure.as_json(judged=not options.quick) for figure in figures]
        print(
            json.dumps({"at": began, "quick": options.quick, "machine": machine, "figures": told}, indent=1)
        )
    else:
        _print(figures, machine, judged=not options.quick)
    return 0 if options.quick or all(figure.verdict in _FINE for figure in figures) else 1


def _usual() -> list[str]:
    return [name for name in SCENARIOS if name not in ON_DEMAND]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="this scenario; may be repeated")
    parser.add_argument(
        "--quick", action="store_true", help="one round, all sizes small: only shows that it works"
    )
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of each contest (default {ROUNDS})")
    parser.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    parser.add_argument(
        "--dir",
        type=Path,
        default=ROOT / "build" / "bench",
        help="a folder on the disk that is to be measured, never one in memory (default build/bench)",
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the catalog of a million clips (4 GB) for the next run"
    )
    parser.add_argument(
        "--libraries",
        default=sys.executable,
        metavar="PYTHON",
        help="of a virtual environment that has boto3 and tuspy, or one of them (default: this one)",
    )
    options = parser.parse_args()
    if options.quick:
        options.rounds = 1
    if options.rounds < 1:
        parser.error("--rounds: at least one")
    if not shutil.which(options.libraries):
        parser.error(f"--libraries: {options.libraries} is no program")
    return options


def _machine(bench: Bench) -> dict[str, Any]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": os.cpu_count(),
        "architecture": platform.machine(),
        "memory_gib": round(memory / (1 << 30), 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "cold": bench.cold.how,
        "rounds": bench.rounds,
        "load_before": os.getloadavg()[0],
    }


def _print(figures: Iterable[Figure], machine: Mapping[str, Any], judged: bool) -> None:
    print(", ".join(f"{name}: {value}" for name, value in machine.items()))
    if not judged:
        print("--quick: every size is small, whatever the lines say; this is no measurement")
    rows = [("scenario", "figure", "median", "min–max", "unit", "limit", "", "note")]
    for figure in figures:
        limit = "" if figure.limit is None else f"{'≥' if figure.at_least else '≤'} {figure.limit:g}"
        rows.append(
            (
                figure.name,
                figure.what,
                f"{figure.median:.2f}" if figure.runs else "–",
                f"{min(figure.runs):.2f}–{max(figure.runs):.2f}" if figure.runs else "",
                figure.unit,
                limit,
                figure.verdict if judged else "",
                figure.note,
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        print("  ".join([*cells, row[-1]]).rstrip())


if __name__ == "__main__":
    sys.exit(main())
