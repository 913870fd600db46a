"""Ingest alone, in a process of its own: catalog, store, driver and ingest as the station has them,
without its threads for ports, uploads and screens.

    python -m scripts.benchmarks.collect RECORDER STORE TIMES

docks the recorder so many times, each time with a cold cache, and prints one JSON object.
"""

import json
import os
import resource
import sys
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agent.catalog import Catalog, queries
from agent.catalog.home import catalog_path
from agent.dock.board import Board
from agent.dock.reporter import Tally, VolumeReporter
from agent.ingest.collect import Ingest
from agent.ingest.gate import Gate
from agent.ingest.recover import recover
from agent.ingest.store import Store
from agent.model import ClipState, Device, DeviceKind
from drivers.mass_storage import MassStorage
from scripts.benchmarks.machine import Cold

_COPIES = 4  # as configured by default
_RESERVE = 512 << 20


@dataclass
class _FolderPort:
    path: Path
    empty: frozenset[str] = frozenset()

    def present(self) -> bool:
        return self.path.is_dir()

    def beat(self) -> None: ...


def main(recorder: Path, root: Path, times: int) -> int:
    catalog = Catalog.open(catalog_path(root))
    store = Store(root / "store", lambda: _RESERVE)
    recover(catalog, store)
    ingest = Ingest(
        catalog,
        store,
        Gate(lambda: (_COPIES, _COPIES)),
        Gate(lambda: (os.cpu_count() or 1, _COPIES)),
        lambda: False,
        lambda: None,
    )
    cold = Cold(recorder.parent)
    seconds = []
    for _ in range(times):
        cold.drop()
        began = time.perf_counter()
        complete = _dock(ingest, recorder)
        seconds.append(time.perf_counter() - began)
        if not complete:
            print("not everything was collected", file=sys.stderr)
            return 1
    used = resource.getrusage(resource.RUSAGE_SELF)
    told = {
        "seconds": seconds,
        "stored": queries.counts(catalog.read())[ClipState.STORED],
        "cpu": used.ru_utime + used.ru_stime,
        "rss": used.ru_maxrss << 10,
    }
    catalog.close()
    print(json.dumps(told))
    return 0


def _dock(ingest: Ingest, folder: Path) -> bool:
    device = Device(
        str(folder), DeviceKind.VOLUME, "pci-0000:00:14.0-usb-0:1", fs_type="ext4", fs_uuid="1234-ABCD"
    )
    reporter = VolumeReporter(Tally(Board(), "A1"), device.node, lambda: False, lambda: False)
    with closing(MassStorage().open(device, _FolderPort(folder))) as session:
        return ingest.collect(session, "A1", device.port, reporter)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))
