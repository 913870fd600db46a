"""The whole station: sixteen recorders at the same moment, and how soon an arriving one is seen."""

import time
from collections.abc import Iterable
from pathlib import Path

from agent.model import SlotState
from agent.status.shape import StatusShape
from scripts.benchmarks.machine import memory_peak, scratch
from scripts.benchmarks.measure import Bench, BenchError, Figure, ratios, seconds_note
from scripts.benchmarks.peers import floor
from scripts.benchmarks.recorder import make_racked
from scripts.benchmarks.station import Station, state_of

_SLOTS = 16
_LOOK = 0.05  # seconds between two looks: rarer than would disturb what is measured
_DONE = (SlotState.COLLECTED, SlotState.INCOMPLETE, SlotState.FAILED, SlotState.STUCK)


class _Sixteen:
    """Docks them all and looks until every one is collected."""

    def __init__(self, bench: Bench, recorders: Path, files: int) -> None:
        self._bench, self._recorders, self._files = bench, recorders, files
        self.listed: list[float] = []  # seconds until all slots show what they have to do
        self.share: list[
            float
        ] = []  # least share of its bytes that a slot had read when the first one had all
        self.memory: list[float] = []  # MiB

    def run(self, folder: Path) -> float:
        with Station(folder) as station:
            for recorder in sorted(self._recorders.iterdir()):
                recorder.rename(station.shelf / recorder.name)
            try:
                return self._measure(station)
            finally:
                for place in (station.rack, station.shelf):
                    for recorder in place.iterdir():
                        recorder.rename(self._recorders / recorder.name)

    def _measure(self, station: Station) -> float:
        station.start()
        self._bench.cold.drop()
        began = time.perf_counter()
        for recorder in sorted(station.shelf.iterdir()):
            station.dock(recorder.name)
        station.wait_for(_all_listed, _LOOK)
        self.listed.append(time.perf_counter() - began)
        self.share.append(min(_shares(station.wait_for(lambda status: max(_shares(status)) == 1, _LOOK))))
        last = station.wait_for(lambda status: all(slot["state"] in _DONE for slot in status["slots"]), _LOOK)
        seconds = time.perf_counter() - began
        self.memory.append(memory_peak(station.pid) / (1 << 20))
        if last["clips"]["stored"] != self._files or any(s["state"] != "collected" for s in last["slots"]):
            raise BenchError(f"not everything was collected: {last['clips']}")
        station.stop()
        return seconds


def sixteen(bench: Bench) -> Iterable[Figure]:
    files, size = (2, 2 << 20) if bench.quick else (4, 32 << 20)
    with scratch(bench.folder, "source") as recorders:
        for number in range(1, _SLOTS + 1):
            make_racked(recorders / f"A{number:02}", number=number, files=files, size=size)
        rack = _Sixteen(bench, recorders, files * _SLOTS)
        seconds = bench.contest("sixteen", {"station": rack.run, "floor": floor(recorders, bench.cold)})
    note = seconds_note(seconds)
    ratio = ratios(seconds["station"], seconds["floor"])
    yield Figure("sixteen", "16 × 128 MiB: station / floor", "×", ratio, 1.7, note=note)
    yield Figure("sixteen", "RSS peak", "MiB", rack.memory, 128)
    yield Figure("sixteen", "all 16 listed", "s", rack.listed, 5, note=f"seen to {_LOOK} s")
    what = "least share read by a slot when the first has all"
    yield Figure("sixteen", what, "of 1", rack.share, 0.5, at_least=True)


def _shares(status: StatusShape) -> list[float]:
    """Of its bytes, what each slot has read."""
    return [slot["bytes_done"] / slot["bytes_total"] for slot in status["slots"]]


def _all_listed(status: StatusShape) -> bool:
    return sum(slot["files_total"] > 0 for slot in status["slots"]) == _SLOTS


def arrival(bench: Bench) -> Iterable[Figure]:
    """By the recorder's size, since what it is called is told by the names of all its files."""
    with scratch(bench.folder, "arrival") as folder, Station(folder) as station:
        few, many = (10, 50) if bench.quick else (200, 10_000)
        make_racked(station.shelf / "few", number=1, files=few, size=4096)
        make_racked(station.shelf / "many", number=2, files=many, size=4096)
        station.start()
        few_seen = [_arrive(bench, station, "few") for _ in range(2 * bench.rounds)]
        many_seen = [_arrive(bench, station, "many") for _ in range(bench.rounds)]
        station.stop()
    what = "arrival → slot shows the recorder"
    yield Figure("arrival", f"{what} (200 files)", "s", few_seen, 0.5, note="seen to 0.01 s")
    yield Figure("arrival", f"{what} (10,000 files)", "s", many_seen, 0.5, note="seen to 0.01 s")


def _arrive(bench: Bench, station: Station, slot: str) -> float:
    bench.cold.drop()
    began = time.perf_counter()
    station.dock(slot)
    station.wait_for(lambda status: any(shown["recorder"] for shown in status["slots"]))
    seconds = time.perf_counter() - began
    done = station.wait_for(lambda status: state_of(status, slot) in _DONE, _LOOK)
    if state_of(done, slot) != "collected":
        raise BenchError(f"{slot} is {state_of(done, slot)}")
    station.pull(slot)
    station.wait_for(lambda status: state_of(status, slot) == "empty")
    return seconds
