"""All stations, as they tell of themselves at the centre, and which of them cannot be relied on.

A station protects everything of its own while its story is not whole, or while it has told nothing for days:
a hold may be on its way. Whatever can be read of it protects all the same, also the clips of others.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from agent.archive.replica import Replica
from agent.archive.store import STATIONS, Store

SILENT = 7 * 86400.0  # seconds
_AHEAD = 3600.0  # seconds that a station's clock may be ahead
_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_STORY = re.compile(r"[0-9]{8}T[0-9]{6}-[0-9a-f]{8}", re.ASCII)
_ADDRESS = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\]):[0-9]{1,5}", re.ASCII)
_SEGMENT = re.compile(r"([0-9]{12})\.jsonl", re.ASCII)


@dataclass
class Station:
    """`doubt`: why nothing of it may go, a key of the words; empty while all is well."""

    id: str
    stories: dict[str, Replica] = field(default_factory=dict)
    doubt: str = ""
    name: str = ""
    written_at: float | None = None  # seconds since the epoch, by its own clock
    current: str = ""  # the story that it tells now
    _last: dict[str, str] = field(default_factory=dict)  # the last segment that was read, by story

    def protecting(self) -> list[Replica]:
        """Its stories, but for those that the present one tells again, as it does after its catalog was
        restored: what they held may have been lifted there."""
        now = self.stories.get(self.current)
        return [one for one in self.stories.values() if one is now or not (now and now.tells_all_of(one))]


class Stations:
    """`silent`: seconds after which a station that tells nothing is in doubt."""

    def __init__(self, store: Store, silent: float, check: Callable[[], None]) -> None:
        self._store, self._silent, self._check = store, silent, check
        self._known: dict[str, Station] = {}

    def __iter__(self) -> Iterator[Station]:
        return iter(self._known.values())

    def refresh(self, now: float) -> None:
        """Read what is new. Raises what the store raises: then what was known may be out of date."""
        there = {name for name in self._store.below(STATIONS) if _ID.fullmatch(name)}
        for id in sorted(there | self._known.keys()):
            station = self._known.setdefault(id, Station(id))
            self._check()
            self._read(station, now)

    def _read(self, station: Station, now: float) -> None:
        # The status first: what it speaks of was laid before it.
        status = _status(self._store.read(f"{STATIONS}/{station.id}/status.json"))
        names = {name for name in self._store.below(f"{STATIONS}/{station.id}") if _STORY.fullmatch(name)}
        station.current = str(status.get("story", ""))
        every = names | station.stories.keys()
        for name in sorted(every, key=lambda name: (name == station.current, name)):  # the present one last
            self._follow(station, name)
        station.name, station.written_at = str(status.get("station", "")), _number(status.get("written_at"))
        station.doubt = self._doubt(station, status, now)

    def _follow(self, station: Station, name: str) -> None:
        folder = f"{STATIONS}/{station.id}/{name}"
        new = name not in station.stories
        replica = station.stories.setdefault(name, Replica([one.next for one in station.stories.values()]))
        last = station._last.get(name, "")
        segments = self._store.below(f"{folder}/log", after=last)
        for segment in filter(_SEGMENT.fullmatch, segments):
            if not replica.fault:
                self._check()
                replica.take(self._store.read(f"{folder}/log/{segment}") or b"")
                station._last[name] = segment
        if new:
            for entry in self._store.entries(f"{folder}/clips"):
                self._check()
                replica.describe(self._store.read(entry.path) or b"")
            replica.complete()

    def _doubt(self, station: Station, status: dict[str, Any], now: float) -> str:
        rules = {name: replica.rules() for name, replica in station.stories.items()}
        faults = [replica.fault for replica in station.stories.values() if replica.fault]
        current, events = station.stories.get(station.current), _number(status.get("events"))
        written = station.written_at
        if not status or written is None or events is None:
            return "story-missing"
        if faults:
            return faults[0]
        if current is None or current.next <= events:
            return "story-gap"
        if (happened := _number(status.get("of"))) is None or events < happened:
            return "story-behind"
        if not rules[station.current]:
            return "story-no-rules"
        if written > now + _AHEAD:
            return "station-clock"
        return "station-silent" if now - written > self._silent else ""


class Told(NamedTuple):
    """What a station says of itself; nothing of it is proved."""

    id: str
    name: str  # "" where its status cannot be read
    written_at: float | None  # seconds since the epoch, by its own clock
    address: str  # host:port of its pages; "" when it tells none
    version: str


def told_of(store: Store) -> list[Told]:
    """Every station, by its id. Only its status is read, not its story. Raises what the store raises."""
    ids = (name for name in store.below(STATIONS) if _ID.fullmatch(name))
    return [_told(id, _status(store.read(f"{STATIONS}/{id}/status.json"))) for id in sorted(ids)]


def _told(id: str, status: dict[str, Any]) -> Told:
    name, address, version = (str(status.get(key, "")) for key in ("station", "address", "version"))
    written = _number(status.get("written_at"))
    return Told(id, name, written, address if _ADDRESS.fullmatch(address) else "", version)


def _status(data: bytes | None) -> dict[str, Any]:
    try:
        said = json.loads(data or b"")
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _number(said: object) -> float | None:
    if not isinstance(said, (int, float)) or isinstance(said, bool):
        return None
    try:
        return float(said)
    except OverflowError:  # hundreds of digits
        return None
