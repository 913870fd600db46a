"""A dock that a test can drive: real workers, real board; sources, mounts and `collect` are the test's."""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.dock.board import Board
from agent.dock.dock import Dock
from agent.dock.docking import Collect, Tools
from agent.dock.events import Arrived, Bystander, Event, Left, Source
from agent.dock.mounts import FolderPort
from agent.model import Device, DeviceKind, Port, SlotState, SlotStatus
from drivers.base import Session

PATIENCE = 20.0  # seconds until a test gives up waiting; never the time that something should take


@dataclass(frozen=True)
class Slot:
    port: str
    reader: bool = False


@dataclass
class Settings:
    mounts: Path = Path("/nonexistent")
    slots: Mapping[str, Slot] = field(default_factory=dict)
    stuck_after: float = 60.0


class Hand:
    """A source: plugs and pulls as the test says."""

    name = "hand"

    def __init__(self) -> None:
        self._put: Callable[[Event], None] | None = None

    def start(self, put: Callable[[Event], None]) -> None:
        self._put = put

    def stop(self) -> None:
        self._put = None

    def alive(self) -> bool:
        return self._put is not None

    def idle_for(self) -> float:
        return 0.0

    def plug(self, device: Device) -> None:
        assert self._put is not None
        self._put(Arrived(device))

    def meet(self, bystander: Bystander) -> None:
        assert self._put is not None
        self._put(bystander)

    def pull(self, device: Device | Bystander) -> None:
        assert self._put is not None
        self._put(Left(device.node))


class Shelf:
    """Lends one folder for every volume, and keeps account of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lent: list[str] = []
        self.returned: list[str] = []
        self.disconnected: list[str] = []
        self.usb: Path | None = None
        self.sweep: Callable[[], None] = lambda: None

    @contextmanager
    def lend(self, device: Device, docking: str, beat: Callable[[], None]) -> Iterator[Port]:
        self.lent.append(device.node)
        try:
            yield FolderPort(self.folder, self.folder.stat().st_ino, beat)
        finally:
            self.returned.append(device.node)

    def clean(self) -> None: ...

    def disconnect(self, device: Device) -> Path | None:
        self.disconnected.append(device.node)
        return self.usb


class Blank:
    """A driver without a recorder's rules: these tests' `collect` does the work, or `opening` some of it."""

    name = "blank"

    def __init__(self, opening: Callable[[Port], None]) -> None:
        self._opening = opening

    def match(self, device: Device) -> int | None:
        return 1

    def open(self, device: Device, port: Port) -> Session:
        self._opening(port)
        return self  # type: ignore[return-value]

    def close(self) -> None: ...


@dataclass
class House:
    board: Board
    hand: Hand
    shelf: Shelf
    settings: Settings
    tools: Tools
    dock: Dock

    def status(self, slot: str) -> SlotStatus | None:
        return next((status for status in self.board.snapshot() if status.slot == slot), None)

    def until(self, slot: str, *states: SlotState, problem: str = "") -> SlotStatus:
        """Wait until the slot shows one of `states`, and `problem` if one is named."""
        found: list[SlotStatus] = []

        def said() -> bool:
            now = self.status(slot)
            fits = now is not None and now.state in states
            if now is not None and fits and (not problem or problem in [p.key for p in now.problems]):
                found.append(now)
            return bool(found)

        self.when(said)
        return found[0]

    def when(self, said: Callable[[], Any]) -> Any:
        end = time.monotonic() + PATIENCE
        while not (answer := said()):
            assert time.monotonic() < end, self.board.snapshot()
            time.sleep(0.02)
        return answer


@contextmanager
def house(
    folder: Path,
    collect: Collect,
    *,
    settings: Settings | None = None,
    sources: tuple[Source, ...] = (),
    opening: Callable[[Port], None] = lambda port: None,
    out_of_use: Mapping[str, float] | None = None,
    **tuned: Any,
) -> Iterator[House]:
    board, hand, shelf, settings = Board(), Hand(), Shelf(folder), settings or Settings()
    blank: Any = Blank(opening)
    tools = Tools(board, shelf, lambda device: blank, collect, **{"grace": 0.05, "again": 0.05, **tuned})
    dock = Dock(lambda: settings, (hand, *sources), shelf, tools, out_of_use)
    dock.start()
    try:
        yield House(board, hand, shelf, settings, tools, dock)
    finally:
        dock.stop(PATIENCE)


def volume(node: str, port: str = "p", **more: Any) -> Device:
    return Device(node, DeviceKind.VOLUME, port, fs_type="vfat", **more)


def disk(node: str, port: str = "p", **more: Any) -> Device:
    return Device(node, DeviceKind.DISK, port, **more)


def folder(node: str, port: str = "rack:p") -> Device:
    return Device(node, DeviceKind.FOLDER, port)
