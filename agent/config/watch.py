"""Which folders decide what the configuration is, and an inotify watch on each of them.

A file's meaning can change by a write, a rename over it, a link on its way that is turned (as mounted
ConfigMaps are), or by a folder on its way that appears. So every entry on the way is watched.
"""

import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer
from watchdog.observers.api import BaseObserver

_LINKS = 40  # as the kernel's own limit
#: Reading the files makes these; to react to them would be to run in circles.
_READING = ("opened", "closed_no_write")
_ROUNDS = 10  # of watching again while folders come and go under our hands

#: Real folder -> names of interest in it; None: all.
Watched = dict[str, set[str] | None]


def watched(station: Path, more: Path | None = None) -> Watched:
    """What to watch, as the file system stands now; `more`: one file more."""
    conf_d = station.parent / "conf.d"
    found: Watched = {}
    for path in (station, conf_d, *_links_in(conf_d), *([more] if more else [])):
        for folder, name in _entries(path):
            names = found.setdefault(folder, set())
            if names is not None:
                names.add(name)
    if conf_d.is_dir():
        found[os.path.realpath(conf_d)] = None
    return found


class FolderWatch:
    """Sets `dirty` when something in the watched folders may have changed. Not thread-safe."""

    def __init__(self, station: Path, dirty: threading.Event) -> None:
        self._station = station
        self._dirty = dirty
        self._observer: BaseObserver | None = None

    def renew(self, more: Path | None = None) -> str:
        """Watch what is to be watched now; returns why that failed, else an empty text.
        Whatever changes after this call sets `dirty`."""
        for _ in range(_ROUNDS):
            wanted = watched(self._station, more)
            self.stop()
            failure = self._watch(wanted)
            if watched(self._station, more) == wanted:
                return failure
        return "its folders keep changing"

    def stop(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            if self._observer.is_alive():
                self._observer.join()
            self._observer = None

    @property
    def alive(self) -> bool:
        observer = self._observer
        return observer is not None and observer.is_alive() and all(e.is_alive() for e in observer.emitters)

    def _watch(self, wanted: Watched) -> str:
        handler = _Handler(wanted, self._dirty)
        try:
            self._observer = Observer()
            for folder in wanted:
                self._observer.schedule(handler, folder)
            self._observer.start()
        except OSError as error:  # out of inotify instances or watches
            self.stop()
            return str(error)
        # To inotify's "may not" watchdog says nothing.
        unreadable = [folder for folder in wanted if not os.access(folder, os.R_OK)]
        return f"may not read {', '.join(unreadable)}" if unreadable else ""


class _Handler(FileSystemEventHandler):
    def __init__(self, wanted: Watched, dirty: threading.Event) -> None:
        self._wanted = wanted
        self._dirty = dirty

    def dispatch(self, event: FileSystemEvent) -> None:
        if event.event_type in _READING or (event.is_directory and event.event_type == "modified"):
            return  # of a folder, "modified" only repeats that something in it was
        own_end = event.event_type == "deleted" and os.fsdecode(event.src_path) in self._wanted
        if own_end or any(map(self._matters, (event.src_path, event.dest_path))):
            self._dirty.set()

    def _matters(self, path: bytes | str) -> bool:
        folder, name = os.path.split(os.fsdecode(path))
        names = self._wanted.get(folder, set())
        return names is None or name in names


def _links_in(conf_d: Path) -> list[Path]:
    try:
        return [Path(entry) for entry in os.scandir(conf_d) if entry.is_symlink()]
    except OSError:  # not there yet, or not readable: loading says so
        return []


def _entries(path: Path) -> Iterator[tuple[str, str]]:
    """(folder, name) of each link on the way to `path`, of the first part that is missing, and of the
    last two parts (the folder of the configuration may be replaced as a whole)."""
    here, todo, links = Path("/"), list(path.parts[1:]), 0
    while todo:
        name = todo.pop(0)
        entry = here.parent if name == ".." else here / name
        mode = _mode(entry)
        if stat.S_ISLNK(mode) and links < _LINKS:
            links += 1
            yield str(here), name
            target = entry.readlink()
            todo = [part for part in target.parts if part != "/"] + todo
            here = Path("/") if target.is_absolute() else here
            continue
        if len(todo) < 2 or not mode:
            yield str(here), name
        if not mode:
            return
        here = entry


def _mode(entry: Path) -> int:
    """0 when there is no such entry, or none that we may see."""
    try:
        return entry.lstat().st_mode
    except OSError:
        return 0
