"""A recorder that is docked again and again, a centre, and a station that may empty the recorder: catalog,
store, ingest, uploads, the driver and the erasure itself as they are, over real files, in one thread.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, holds
from agent.catalog.home import catalog_path
from agent.config import EraseConfig, RetentionConfig
from agent.custody.completeness.judge import Judge
from agent.dock.mounts import FolderPort
from agent.errors import StationError
from agent.ingest.collect import Ingest
from agent.ingest.empty import Emptying
from agent.ingest.gate import Gate
from agent.ingest.recover import recover
from agent.ingest.store import Store
from agent.model import Device, DeviceKind
from agent.retention.book import Book, take_over
from agent.retention.erase import Erasing
from agent.upload.scheduler import Uploads
from drivers.simulated import Simulated
from tests import newborn
from tests.dockside import Heard
from tests.retained_house import Centre
from tests.uploading import locked

NAME = "DCIM/8888888_000001_202601011200{:02}_{:04}.mp4"
RECORDER = "8888888"
CARD = "1234-ABCD"


class Time:
    """Waiting for the centre costs no test any time: meanwhile the uploads go on."""

    def __init__(self) -> None:
        self.mono = 0.0
        self.meanwhile: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        return self.mono

    def wait(self, seconds: float) -> None:
        self.mono += seconds
        self.meanwhile()


@dataclass
class Order:
    """What the station is told."""

    config: EraseConfig = field(default_factory=lambda: EraseConfig(enabled=True))
    roster: set[str] = field(default_factory=lambda: {RECORDER})
    now: Callable[[], float | None] = lambda: None


class House:
    def __init__(self, root: Path, now: Callable[[], float | None]) -> None:
        self.root, self.order, self.time = root, Order(now=now), Time()
        self.card = root / "card"
        self.card.mkdir(parents=True, exist_ok=True)
        (root / "share").mkdir(exist_ok=True)
        (self.card / ".recorder.yaml").write_text(f"label: '{RECORDER}'\n")  # also when it is empty
        newborn.lay(catalog_path(self.root / "store"))
        self.start()

    def start(self) -> None:
        """As the agent does, also after a kill."""
        self.catalog = Catalog.open(catalog_path(self.root / "store"))
        self.store = Store(self.root / "store", lambda: 0)
        self.target = Centre("centre", self.root / "share", first_contact=True)
        self.uploads = Uploads(
            self.catalog, {"centre": self.target}, self.store.path, lock=locked(), trusted=lambda: True,
            monotonic=self.time, wall=lambda: time.time(),
        )  # fmt: skip
        self.judge = Judge(self.catalog)
        book = Book()
        take_over(self.catalog, RetentionConfig())
        erasing = Erasing(
            book,
            lambda: self.order.config,
            lambda: ["centre"],
            lambda: self.order.now(),
            lambda recorder: recorder in self.order.roster,
        )
        self.time.meanwhile = self.send
        self.emptying = Emptying(self.catalog, self.store, erasing, lambda: None, self.time, self.time.wait)
        self.ingest = Ingest(
            self.catalog, self.store, Gate(lambda: (4, 4)), Gate(lambda: (2, 2)), lambda: False, lambda: None,
            self.emptying.run,
        )  # fmt: skip
        recover(self.catalog, self.store)

    # the recorder

    def put(self, name: str, content: bytes | int) -> Path:
        path = self.card / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(content) if isinstance(content, int) else content)
        return path

    def record(self, *numbers: int, size: int = 20_000) -> list[Path]:
        return [self.put(NAME.format(number % 60, number), size + number) for number in numbers]

    def files(self) -> dict[str, bytes]:
        """What is on the card."""
        found = (path for path in self.card.rglob("[!.]*") if path.is_file() and not path.is_symlink())
        return {str(path.relative_to(self.card)): path.read_bytes() for path in found}

    # the station

    def dock(self, heard: Heard | None = None) -> tuple[bool, Heard]:
        """Raises what a docking raises."""
        heard = heard or Heard()
        device = Device(str(self.card), DeviceKind.FOLDER, "rack:A1", fs_uuid=CARD)
        port = FolderPort(self.card, self.card.stat().st_ino, lambda: None)
        session = Simulated().open(device, port)
        try:
            return self.ingest.collect(session, "A1", device.port, heard), heard
        finally:
            session.close()

    def visit(self) -> Heard:
        """A docking that may end as it likes."""
        heard = Heard()
        try:
            for _ in range(3):  # as a slot does while something on the card changed
                if self.dock(heard)[0]:
                    break
        except StationError:
            pass
        return heard

    def send(self) -> None:
        for _ in range(1000):
            if not self.uploads.step():
                return
        raise AssertionError("there is always something to upload")

    def hold(self, scope: str = "recorder", value: str = RECORDER) -> int:
        return self.catalog.write(lambda tx: holds.place(tx, {"scope": scope, "value": value}, {}))

    def lift(self, number: int) -> None:
        self.catalog.write(lambda tx: holds.lift(tx, number, {}))

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        marks = ", ".join("?" * len(kinds))
        rows = self.catalog.read().execute(
            f"SELECT body FROM events WHERE kind IN ({marks}) ORDER BY seq", kinds
        )
        return [json.loads(row[0]) for row in rows]

    def findings(self) -> list[str]:
        """Of this visit, as if the recorder had been away for long."""
        self.catalog.write(lambda tx: tx.execute("UPDATE dockings SET ended = ended - 1000"))
        self.judge.step()
        assert not self.judge.failing
        return [row[0] for row in self.catalog.read().execute("SELECT rule FROM findings ORDER BY id")]

    def open_lists(self) -> int:
        row = self.catalog.read().execute("SELECT count(*) FROM erasures WHERE ended IS NULL").fetchone()
        return int(row[0])

    def age_proofs(self, seconds: float) -> None:
        self.catalog.write(lambda tx: tx.execute("UPDATE deliveries SET proved = proved - ?", (seconds,)))

    def stop(self) -> None:
        assert self.uploads.stop(10)
        self.catalog.close()

    def restart(self) -> None:
        self.stop()
        self.start()
