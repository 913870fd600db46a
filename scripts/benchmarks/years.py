"""A station that has collected a million clips: how soon it is ready, and what it costs to wait."""

import time
from collections.abc import Iterable

from agent.catalog.home import catalog_path
from agent.status.shape import StatusShape
from scripts.benchmarks import million
from scripts.benchmarks.machine import memory_peak, scratch, spent
from scripts.benchmarks.measure import Bench, Figure
from scripts.benchmarks.recorder import make_racked
from scripts.benchmarks.station import Station

_LOOK = 0.05
_FILES = 600  # more than one batch of ingest: the first is safe, the second on its way when it dies
_DOCKED = 4  # recorders that stay in their slots while nothing happens
_SETTLE = 20.0  # seconds without work until a station counts as idle
_WINDOWS = 3
_HOUR = 3600.0


def start(bench: Bench) -> Iterable[Figure]:
    clean: list[float] = []
    killed: list[float] = []
    stops: list[float] = []
    logs: list[float] = []
    with scratch(bench.folder, "start") as folder, Station(folder, centre=True) as station:
        million.lay(bench, station.store)
        station.start()
        station.stop()
        for turn in range(bench.rounds):
            bench.cold.drop()
            clean.append(station.start())
            logs.append(_work_and_die(station, turn))
            bench.cold.drop()
            killed.append(station.start())
            station.wait_for(_idle, _LOOK)
            station.pull(f"A{turn}")
            stops.append(station.stop())
            bench.say(f"start {turn + 1}/{bench.rounds}: clean {clean[-1]:.2f} s, killed {killed[-1]:.2f} s")
    what = "start → READY, 1,000,000 clips"
    left = f"with a WAL of {min(logs):.1f}–{max(logs):.1f} MiB, from the first byte on disk"
    yield Figure("start", f"{what}, after a clean stop", "s", clean, 2, note="from the first byte on disk")
    yield Figure("start", f"{what}, after kill -9", "s", killed, 5, note=left)
    yield Figure("start", "clean stop", "s", stops, 10)


def _work_and_die(station: Station, turn: int) -> float:
    """Kill it in the middle of collecting; returns the size of the WAL that it leaves, in MiB."""
    make_racked(station.shelf / f"A{turn}", number=turn + 1000, files=_FILES, size=16 << 10)
    station.dock(f"A{turn}")
    station.wait_for(lambda status: any(slot["files_done"] for slot in status["slots"]))
    station.kill()
    return catalog_path(station.store).with_name("catalog.db-wal").stat().st_size / (1 << 20)


def idle(bench: Bench) -> Iterable[Figure]:
    """What it spends while recorders wait in their slots, everything is confirmed and nobody looks."""
    length = 1.0 if bench.quick else 60.0
    cpu, written, switches = [], [], []
    with scratch(bench.folder, "idle") as folder, Station(folder, centre=True) as station:
        million.lay(bench, station.store)
        for number in range(_DOCKED):
            make_racked(station.shelf / f"A{number}", number=number + 2000, files=20, size=64 << 10)
        station.start()
        for number in range(_DOCKED):
            station.dock(f"A{number}")
        station.wait_for(lambda status: len(status["slots"]) == _DOCKED and _idle(status), _LOOK)
        time.sleep(1.0 if bench.quick else _SETTLE)
        for _ in range(_WINDOWS):
            before, began = spent(station.pid), time.monotonic()
            time.sleep(length)
            after, took = spent(station.pid), time.monotonic() - began
            cpu.append(100 * (after.cpu - before.cpu) / took)
            written.append((after.written - before.written) / 1e6 / took * _HOUR)
            switches.append((after.switches - before.switches) / took)
        memory = memory_peak(station.pid) / (1 << 20)
        station.stop()
    note = f"{_WINDOWS} windows of {length:.0f} s"
    yield Figure("idle", "CPU", "% of a core", cpu, 0.5, note=note)
    yield Figure("idle", "written to disk", "MB/h", written, 1, note=f"{note}, scaled to an hour")
    yield Figure("idle", "threads that wake up", "1/s", switches, note=note)
    yield Figure("idle", "RSS peak", "MiB", [memory])


def _idle(status: StatusShape) -> bool:
    slots = status["slots"]
    return bool(slots) and all(s["state"] == "collected" for s in slots) and not status["queue"]["clips"]
