"""The configuration of a running agent: a changed file is picked up, a faulty one changes nothing.

Whole or nothing: with any fault in any file the last good configuration stays; at start that is the
schema's defaults, because a station with a broken file still collects. The roster stands apart: with
a fault in it the last good roster stays, and the configuration is taken over all the same.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from agent.config.layers import load, roster_path, station_path
from agent.config.roster import Roster
from agent.config.roster import read as read_roster
from agent.config.schema import Config
from agent.config.watch import FolderWatch
from agent.errors import ConfigError, StationError

log = logging.getLogger(__name__)

#: Bound at start to sockets, folders and threads; a change shows as `restart_needed` until then.
AT_RESTART = (
    "store.path",
    "dock.udev",
    "dock.tag",
    "dock.simulated_rack",
    "dock.mounts",
    "dock.input_ports",
    "dock.helper",
    "web.listen",
    "web.lan",
    "web.certificate",
    "web.certificate_key",
    "web.socket",
)
_SETTLE = 0.3  # seconds without a change: editors write in several steps
_AGAIN = 30.0  # seconds until a change that somebody could not take over is told again
_PATIENCE = 20  # changes; a file that never settles is read all the same


Subscriber = Callable[[Config], None]


@dataclass(frozen=True, slots=True)
class _State:
    current: Config
    faults: tuple[str, ...] = ()
    restart_needed: tuple[str, ...] = ()
    roster: Roster | None = None
    roster_faults: tuple[str, ...] = ()


class LiveConfig:
    """Never raises for what stands in the files. Readers take `current` once per piece of work and see
    one whole configuration; the keys of AT_RESTART keep in it the values that the agent started with."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = station_path(path)
        self._subscribers: list[Subscriber] = []
        self._behind: list[Subscriber] = []  # those that could not take the last change over
        self._lock = threading.Lock()  # one reload at a time; readers need none
        self._dirty = threading.Event()
        self._ending = False
        self._thread: threading.Thread | None = None
        self._watch = FolderWatch(self._path, self._dirty)
        try:
            self._started_with = load(self._path)
        except ConfigError as error:
            self._started_with = Config()
            self._state = _State(self._started_with, tuple(error.faults))
        else:
            roster, faults = self._read_roster(self._started_with, None)
            self._state = _State(self._started_with, roster=roster, roster_faults=faults)

    @property
    def current(self) -> Config:
        return self._state.current

    @property
    def faults(self) -> tuple[str, ...]:
        """`file:line: message` each, of the last reload; empty when it was fine."""
        return self._state.faults + self._state.roster_faults

    @property
    def faulty(self) -> bool:
        """Whether `current` is not what the files say. A fault in the roster alone is none of theirs."""
        return bool(self._state.faults)

    @property
    def restart_needed(self) -> tuple[str, ...]:
        """Dotted keys whose new value waits for the next start."""
        return self._state.restart_needed

    @property
    def roster(self) -> Roster | None:
        """As the last good file says; None when none was good since the start."""
        return self._state.roster

    @property
    def watching(self) -> bool:
        """Whether changes are noticed; false before `start`, after `stop`, and when a thread of it died."""
        return self._thread is not None and self._thread.is_alive() and self._watch.alive

    def subscribe(self, callback: Subscriber) -> None:
        """`callback(current)` after each change of anything that this object shows, on the thread that
        reloads. When it raises StationError or OSError it is called again after a while, or at the next
        change; anything else ends the thread (see `watching`)."""
        self._subscribers.append(callback)

    def start(self) -> None:
        self._ending = False
        self._thread = threading.Thread(target=self._run, name="config", daemon=True)
        self._dirty.set()  # what changed since __init__
        self._thread.start()

    def stop(self) -> None:
        self._ending = True
        self._dirty.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def reload(self) -> None:
        """Read the files now. Also what the watch does."""
        with self._lock:
            self._apply(())

    def _run(self) -> None:
        try:
            while self._wait():
                with self._lock:
                    # Watch first, then read: a change in between is seen by one of the two.
                    roster = roster_path(self._path, self.current)
                    failure = self._watch.renew(roster)
                    self._apply((f"{self._path}:1: changes are not noticed: {failure}",) if failure else ())
                    if roster_path(self._path, self.current) != roster:
                        self._dirty.set()  # another file: watched and read once more
        finally:
            self._watch.stop()

    def _wait(self) -> bool:
        """Sleep until something changed and settled; False at the end."""
        self._dirty.wait(_AGAIN if self._behind else None)
        self._dirty.clear()
        for _ in range(_PATIENCE):
            if self._ending or not self._dirty.wait(_SETTLE):
                break
            self._dirty.clear()
        return not self._ending

    def _apply(self, more_faults: tuple[str, ...]) -> None:
        before = self._state
        try:
            loaded = load(self._path)
        except ConfigError as error:
            after = replace(before, faults=(*error.faults, *more_faults))
        else:
            waiting = tuple(key for key in AT_RESTART if _get(loaded, key) != _get(self._started_with, key))
            roster, faults = self._read_roster(loaded, before.roster)
            pinned = _pinned(loaded, self._started_with, waiting)
            after = _State(pinned, more_faults, waiting, roster, faults)
        to_tell = self._behind
        if after != before:
            self._state, to_tell = after, self._subscribers
            counts = len(after.faults) + len(after.roster_faults), len(after.restart_needed)
            log.info("configuration read: %d faults, %d keys wait for a restart", *counts)
        self._behind = [subscriber for subscriber in to_tell if not _told(subscriber, after.current)]

    def _read_roster(self, config: Config, before: Roster | None) -> tuple[Roster | None, tuple[str, ...]]:
        """The roster, and why it is the one `before`."""
        try:
            return read_roster(roster_path(self._path, config)), ()
        except ConfigError as error:
            return before, tuple(error.faults)


def _told(subscriber: Subscriber, config: Config) -> bool:
    try:
        subscriber(config)
    except (StationError, OSError):
        log.exception("a change of the configuration could not be taken over; tried again in %.0f s", _AGAIN)
        return False
    return True


def _get(config: Config, key: str) -> object:
    section, name = key.split(".")
    return getattr(getattr(config, section), name)


def _pinned(loaded: Config, started_with: Config, keys: tuple[str, ...]) -> Config:
    """`loaded`, with `keys` as they were at start. None of them is checked against another key."""
    for key in keys:
        section, name = key.split(".")
        kept = getattr(loaded, section).model_copy(update={name: _get(started_with, key)})
        loaded = loaded.model_copy(update={section: kept})
    return loaded
