"""A recorder docked without a dock: catalog, store, driver and ingest as they are, in one thread."""

import hashlib
import os
import traceback
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from agent.catalog import Catalog, door, queries
from agent.catalog.home import catalog_path
from agent.errors import DeviceGone
from agent.ingest.collect import Ingest
from agent.ingest.gate import Gate
from agent.ingest.recover import recover
from agent.ingest.store import Store
from agent.model import ClipState, Condition, Device, DeviceKind, Doing, Identity
from agent.upload.scheduler import Uploads
from agent.upload.targets.folder import FolderTarget
from drivers.simulated import Simulated
from tests.uploading import locked


@dataclass
class Heard:
    """A Reporter that keeps what it was told, and can pull the recorder or raise after so many bytes."""

    pull_after: int = -1
    identity: Identity | None = None
    problems: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    files: int = 0
    bytes: int = 0
    done: int = 0
    total: tuple[int, int] = (0, 0)
    seen_whole: bool = False
    done_so_far: list[Doing] = field(default_factory=list)
    emptied: bool = False
    told_condition: Condition | None = None

    def identified(self, identity: Identity) -> None:
        self.identity = identity

    def listed(self, files: int, size: int) -> None:
        self.total = (files, size)

    def advanced(self, size: int) -> None:
        self.bytes += size

    def finished(self, files: int) -> None:
        self.files += files

    def docked(self, docking: int) -> None: ...

    def seen(self, clips: Collection[int], every: bool) -> None:
        self.seen_whole = every

    def doing(self, what: Doing) -> None:
        if self.done_so_far[-1:] != [what]:
            self.done_so_far.append(what)

    def erased(self, files: int, all: bool) -> None:
        self.emptied = all

    def condition(self, condition: Condition) -> None:
        self.told_condition = condition

    def problem(self, key: str, **params: Any) -> None:
        self.problems.append((key, params))

    def check(self) -> None:
        if 0 <= self.pull_after <= self.bytes:
            raise DeviceGone()

    def told(self) -> set[str]:
        return {key for key, _ in self.problems}


@dataclass
class FolderPort:
    path: Path
    empty: frozenset[str] = frozenset()

    def present(self) -> bool:
        return self.path.is_dir()

    def beat(self) -> None: ...


class Dockside:
    def __init__(self, root: Path, reserve: int = 0, sm3: bool = False) -> None:
        self.catalog = Catalog.open(catalog_path(root / "store"))
        self.store = Store(root / "store", lambda: reserve)
        self.ingest = Ingest(
            self.catalog,
            self.store,
            Gate(lambda: (4, 4)),
            Gate(lambda: (2, 2)),
            lambda: sm3,
            lambda: None,
        )
        self.driver = Simulated()
        recover(self.catalog, self.store)

    def dock(
        self, folder: Path, heard: Heard | None = None, slot: str = "A1", card: str = "1234-ABCD"
    ) -> tuple[bool, Heard]:
        heard = heard or Heard()
        device = Device(str(folder), DeviceKind.FOLDER, f"rack:{slot}", fs_uuid=card)
        session = self.driver.open(device, FolderPort(folder))
        try:
            return self.ingest.collect(session, slot, device.port, heard), heard
        finally:
            session.close()

    def upload(self, share: Path) -> None:
        """Bring all that is stored to a share that has never seen this station."""
        share.mkdir()
        target = FolderTarget("centre", share, first_contact=True)
        uploads = Uploads(self.catalog, {"centre": target}, self.store.path, lock=locked())
        for _ in range(100):
            if not uploads.step():
                return
        raise AssertionError("there is always something to upload")

    def states(self) -> dict[str, int]:
        return {state: count for state, count in queries.counts(self.catalog.read()).items() if count}

    def rows(self) -> list[dict[str, Any]]:
        return queries.clips(self.catalog.read(), limit=100_000)

    def stored_digests(self) -> set[str]:
        """Of every file in the store that is a clip, by its own bytes."""
        return {
            digest(self.store.path(row["key"]))
            for row in self.rows()
            if row["key"] and self.store.path(row["key"]).exists()
        }

    def leftovers(self) -> list[str]:
        return sorted(path.name for path in self.store.incoming.iterdir())

    def close(self) -> None:
        self.catalog.close()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def recorder(folder: Path, files: Mapping[str, bytes | int], faults: str = "") -> Path:
    """A recorder's folder: path → content, or so many random bytes."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(content) if isinstance(content, int) else content)
    folder.mkdir(exist_ok=True)
    (folder / ".faults.yaml").write_text(faults)
    return folder


def media(folder: Path) -> set[str]:
    """Digests of a recorder's own files."""
    return {
        digest(path)
        for path in folder.rglob("*")
        if path.is_file() and not path.is_symlink() and path.name != ".faults.yaml"
    }


def rot(path: Path) -> None:
    """Other bytes, as many of them, under the same name."""
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))


def in_a_child(work: Callable[[], object]) -> int:
    """The exit code of a process that does `work` and may die of it; 3 when it raised."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            work()
            code = 0
        except BaseException:
            traceback.print_exc()
            raise
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def sent_again(tx: Any, clip: int) -> None:
    """As when a target that had confirmed it does not have it any more."""
    states = [ClipState.STORED, ClipState.UPLOADING, ClipState.UPLOADED, ClipState.CONFIRMED]
    for old, new in pairwise(states):
        door.change(tx, clip, old, new)
    door.change(tx, clip, ClipState.CONFIRMED, ClipState.STORED, reason="lost-at-target", target="centre")
