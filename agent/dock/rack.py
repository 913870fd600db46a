"""The simulated rack: a folder whose sub-folders are recorders, each docked in the slot of its name.

As with udev: first watch, then list, then drop doubles; and list again every `reconcile` seconds.
"""

import logging
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.dock.events import Arrived, Event, Left
from agent.dock.slots import RACK
from agent.model import Device, DeviceKind, printable

log = logging.getLogger(__name__)


class RackSource:
    """A sub-folder is known by its inode, and held open while it is known: so its number cannot be given
    to the folder that replaces it."""

    name = "rack"

    def __init__(self, folder: Path, reconcile: float = 30.0) -> None:
        self._folder = folder
        self._reconcile = reconcile
        self._happened = threading.Event()
        self._stopping = False
        self._came_round = time.monotonic()
        self._thread: threading.Thread | None = None
        self._held: dict[str, tuple[int, int]] = {}  # name -> (inode, descriptor)

    def start(self, put: Callable[[Event], None]) -> None:
        self._thread = threading.Thread(target=self._run, args=(put,), name="rack", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._happened.set()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def idle_for(self) -> float:
        return time.monotonic() - self._came_round

    def _run(self, put: Callable[[Event], None]) -> None:
        try:
            while not self._stopping:
                try:
                    self._watch(put)
                except OSError as e:
                    log.error("the simulated rack %s cannot be watched: %s", self._folder, e)
                    self._wait()
        finally:
            for _, descriptor in self._held.values():
                os.close(descriptor)

    def _watch(self, put: Callable[[Event], None]) -> None:
        """Returns when the folder itself was replaced: then another watch is needed."""
        self._folder.mkdir(parents=True, exist_ok=True)
        inode = self._folder.stat().st_ino
        observer = _observer(self._folder, self._happened.set)
        try:
            while not self._stopping and observer.is_alive() and self._is(inode):
                self._happened.clear()
                self._list(put)
                self._wait()
        finally:
            observer.stop()
            observer.join(timeout=5)

    def _wait(self) -> None:
        self._came_round = time.monotonic()
        self._happened.wait(self._reconcile)

    def _is(self, inode: int) -> bool:
        try:
            return self._folder.stat().st_ino == inode
        except FileNotFoundError:
            return False

    def _list(self, put: Callable[[Event], None]) -> None:
        with os.scandir(self._folder) as entries:
            there = {e.name: e.inode() for e in entries if _is_recorder(e)}
        for name, (inode, descriptor) in list(self._held.items()):
            if there.get(name) != inode:
                put(Left(self._node(name, inode)))
                os.close(descriptor)
                del self._held[name]
        for name in sorted(there.keys() - self._held.keys()):
            if (held := self._hold(name)) is not None:
                self._held[name] = held
                port = RACK + printable(name)  # the slot's name, which everybody is shown
                put(Arrived(Device(self._node(name, held[0]), DeviceKind.FOLDER, port, model=name)))

    def _hold(self, name: str) -> tuple[int, int] | None:
        try:
            descriptor = os.open(self._folder / name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return None  # gone again
        return os.fstat(descriptor).st_ino, descriptor

    def _node(self, name: str, inode: int) -> str:
        return f"{self._folder / name}#{inode}"


def _is_recorder(entry: os.DirEntry[str]) -> bool:
    return not entry.name.startswith(".") and entry.is_dir(follow_symlinks=False)


def _observer(folder: Path, changed: Callable[[], None]) -> Any:
    """A started watchdog on `folder` that calls `changed` when a sub-folder comes, goes or is renamed."""
    from watchdog.events import DirCreatedEvent, DirDeletedEvent, DirMovedEvent, FileSystemEventHandler
    from watchdog.observers import Observer

    class Handler(FileSystemEventHandler):
        def on_any_event(self, event: Any) -> None:
            changed()

    observer = Observer()
    kinds = [DirCreatedEvent, DirDeletedEvent, DirMovedEvent]
    observer.schedule(Handler(), str(folder), recursive=False, event_filter=kinds)
    observer.start()
    return observer
