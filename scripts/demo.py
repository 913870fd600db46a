"""The demo: recorders are docked in a simulated rack, and their clips arrive in a central store.

By default recorders come and go until Ctrl-C. With --once they are docked together; when every clip is
confirmed, both sides are read and compared, a summary is printed, and the exit code is 0. The central store
is SeaweedFS, an S3 server that runs as long as the demo, or just a folder.
"""

import argparse
import json
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from rich.console import Console
from rich.filesize import decimal

from agent.config.units import parse_size
from agent.model import COLLECTED, ClipState, SlotState
from agent.status.shape import StatusShape
from scripts.demo_centre import STORES, Centre
from scripts.demo_process import DemoError
from scripts.demo_rack import make_recorder, record
from scripts.demo_station import Station
from scripts.demo_view import View

EVERY = 0.25  # seconds between two looks
BETWEEN = 2.0  # seconds from one recorder to the next, when they come and go
PATIENCE = 60.0  # seconds without any progress
LEAST_FREE = 1 << 30  # recorders that come and go record nothing new when the disk has less
ON_THE_WAY = {ClipState.SEEN, ClipState.COPYING} | COLLECTED - {
    ClipState.CONFIRMED,
    ClipState.RELEASED,
    ClipState.REJECTED,
}


class Summary(TypedDict):
    """Clips, bytes and confirmed are what was read on both sides, not what the station said."""

    recorders: int
    clips: int
    bytes: int
    confirmed: int
    quarantined: int
    seconds: float
    states: dict[str, int]  # what the station said: clips by state


@dataclass
class Recorder:
    """One recorder of the demo, on the shelf or in its slot."""

    slot: str
    number: str
    officer: str
    clips: int
    docked: bool = False
    pulled: bool = False  # at least once: it comes back with something new
    until: float = 0.0  # time.monotonic(): it stays on the shelf, or in its slot, at least so long


class Demo:
    def __init__(
        self, folder: Path, centre: Centre, recorders: int, clips: int, size: int, console: Console
    ) -> None:
        self.console = console
        self.size = size
        self.recorders = [
            Recorder(f"slot-{n:02}", f"{n:07}", f"{100_000 + n:06}", clips) for n in range(1, recorders + 1)
        ]
        self.station = Station(folder, centre, [recorder.slot for recorder in self.recorders])
        self.signs = {"The station's page": f"{self.station.url}/", **centre.shown}
        console.print(f"Recording {recorders} recorders with {clips} clips each ...")
        for recorder in self.recorders:
            make_recorder(
                self.station.shelf / recorder.slot,
                number=recorder.number,
                officer=recorder.officer,
                clips=clips,
                size=size,
            )

    @property
    def clips(self) -> int:
        return sum(recorder.clips for recorder in self.recorders)

    def once(self) -> Summary:
        """Docks all of them and waits. Returns the summary; raises DemoError."""
        started = time.monotonic()
        with self.station.running():
            for recorder in self.recorders:
                self.station.dock(recorder.slot)
            with View(self.console, self.signs) as view:
                for status in self._looks():
                    view.show(status, self.clips)
                    if self._settled(status):
                        break
            seconds = time.monotonic() - started
        return self._summary(status, seconds)

    def come_and_go(self) -> Summary:
        """Until Ctrl-C."""
        started = time.monotonic()
        with self.station.running(), View(self.console, self.signs) as view:
            status = self.station.status()
            for turn, recorder in enumerate(self.recorders):
                recorder.until = time.monotonic() + turn * BETWEEN
            try:
                while True:
                    status = self.station.status()
                    view.show(status, self.clips)
                    self._move_one(status)
                    time.sleep(EVERY)
            except KeyboardInterrupt:
                seconds = time.monotonic() - started
        return self._summary(status, seconds)

    def _move_one(self, status: StatusShape) -> None:
        """Docks or pulls the recorder whose turn has come."""
        shown = {slot["slot"]: SlotState(slot["state"]) for slot in status["slots"]}
        now = time.monotonic()
        for recorder in self.recorders:
            if now < recorder.until:
                continue
            if not recorder.docked:
                if recorder.pulled:
                    self._record_more(recorder)
                self.station.dock(recorder.slot)
            elif shown.get(recorder.slot) == SlotState.COLLECTED:
                self.station.pull(recorder.slot)
                recorder.pulled = True
            else:
                continue
            recorder.docked = not recorder.docked
            recorder.until = now + random.uniform(5, 20)
            return

    def _record_more(self, recorder: Recorder) -> None:
        if shutil.disk_usage(self.station.shelf).free < LEAST_FREE + 3 * self.size:
            return
        recorder.clips += 1
        record(
            self.station.shelf / recorder.slot,
            [recorder.clips],
            number=recorder.number,
            officer=recorder.officer,
            size=self.size,
        )

    def _looks(self) -> Iterator[StatusShape]:
        """Looks at the station until nothing has moved for a while."""
        last, moved = None, time.monotonic()
        while time.monotonic() < moved + PATIENCE:
            status = self.station.status()
            now = status["clips"], [(s["state"], s["files_done"], s["bytes_done"]) for s in status["slots"]]
            if now != last:
                last, moved = now, time.monotonic()
            yield status
            time.sleep(EVERY)
        raise DemoError(f"nothing moved for {PATIENCE:.0f} s; clips by state: {_counted(status)}")

    def _settled(self, status: StatusShape) -> bool:
        on_the_way = sum(status["clips"][state] for state in ON_THE_WAY)
        return sum(status["clips"].values()) >= self.clips and on_the_way == 0

    def _summary(self, status: StatusShape, seconds: float) -> Summary:
        self.console.print("Reading both sides and comparing ...")
        verdict = self.station.verdict()
        return {
            "recorders": len(self.recorders),
            "clips": verdict.clips,
            "bytes": verdict.bytes,
            "confirmed": verdict.confirmed,
            "quarantined": status["clips"]["quarantined"],
            "seconds": round(seconds, 1),
            "states": _counted(status),
        }


def _counted(status: StatusShape) -> dict[str, int]:
    return {state: count for state, count in status["clips"].items() if count}


def judge(summary: Summary) -> str:
    """What is wrong; "" when every clip lies at the centre and the station says so too."""
    if summary["confirmed"] != summary["clips"]:
        return (
            f"only {summary['confirmed']} of {summary['clips']} clips lie at the centre unaltered, and once"
        )
    if summary["states"] != {ClipState.CONFIRMED.value: summary["clips"]}:
        return f"all clips lie at the centre, but the station says {summary['states']}"
    return ""


def sentence(summary: Summary) -> str:
    return (
        f"{summary['confirmed']} of {summary['clips']} clips from {summary['recorders']} recorders lie at "
        f"the centre, read back and equal ({decimal(summary['bytes'])}); "
        f"{summary['quarantined']} quarantined; {summary['seconds']} s"
    )


def arguments() -> argparse.Namespace:
    def size(text: str) -> int:
        try:
            return parse_size(text)
        except ValueError as e:
            raise argparse.ArgumentTypeError(str(e)) from e

    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__, allow_abbrev=False)
    parser.add_argument("--once", action="store_true", help="dock all, wait until all is confirmed, end")
    parser.add_argument("--json", action="store_true", help="with --once: the summary as one JSON object")
    parser.add_argument(
        "--store",
        choices=list(STORES),
        default="seaweedfs",
        help="folder: for small machines (default seaweedfs)",
    )
    parser.add_argument("--recorders", type=int, default=8, choices=range(1, 33), metavar="1..32")
    parser.add_argument("--clips", type=int, default=6, help="on each recorder (default 6)")
    parser.add_argument(
        "--size", type=size, default="4 MiB", help="of each clip, e.g. 4MiB (photos are smaller)"
    )
    parser.add_argument("--keep", type=Path, metavar="DIR", help="work in this new folder and leave it there")
    chosen = parser.parse_args()
    if chosen.json and not chosen.once:
        parser.error("--json needs --once")
    if chosen.clips < 1:
        parser.error("--clips must be at least 1")
    return chosen


@contextmanager
def work_folder(keep: Path | None) -> Iterator[Path]:
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="recorder-station-demo-") as folder:
            yield Path(folder)
        return
    try:
        keep.mkdir(parents=True)
    except FileExistsError:
        raise DemoError(f"{keep} is there already; --keep wants a new folder") from None
    yield keep.resolve()


def main() -> int:
    chosen = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # unwinds, and so cleans up
    console = Console(stderr=chosen.json)
    try:
        with work_folder(chosen.keep) as folder, STORES[chosen.store](folder) as centre:
            demo = Demo(folder, centre, chosen.recorders, chosen.clips, chosen.size, console)
            summary = demo.once() if chosen.once else demo.come_and_go()
    except DemoError as e:
        print(f"scripts/demo: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    if chosen.json:
        print(json.dumps(summary))
    else:
        console.print(sentence(summary), soft_wrap=True)
        if not chosen.once and summary["confirmed"] < summary["clips"]:
            console.print("The others were still on their way.")
    fault = judge(summary) if chosen.once else ""
    if fault:
        print(f"scripts/demo: {fault}", file=sys.stderr)
    return 1 if fault else 0


if __name__ == "__main__":
    sys.exit(main())
