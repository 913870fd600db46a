"""An archive over what real stations laid in a real store."""

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from agent.archive import lists
from agent.archive.expire import Done, expire
from agent.archive.folder import FolderStore
from agent.archive.plan import Archive, Plan
from agent.archive.store import Store
from agent.catalog import holds, labels
from agent.clock import Stamp
from agent.config import RetentionConfig
from agent.retention.book import take_over
from agent.retention.rules import ruleset
from agent.upload.report.turn import Author, Report
from agent.upload.targets.base import Target
from agent.upload.targets.documents import Documents
from agent.upload.targets.folder import FolderTarget
from tests.retaining import config
from tests.uploading import Station

DAY = 86400.0
HOUR = 3600.0
LATER = 184 * DAY  # the ordinary period is over
ONE, TWO = "1" * 32, "2" * 32


class Sites:
    """Stations at one store. `now`: what time it is, for them and for the archive."""

    def __init__(self, root: Path, target: Callable[[], Target] | None = None) -> None:
        self.root, self.now, self._target = root, time.time(), target
        self.stations: dict[str, Station] = {}
        self.reports: dict[str, Report] = {}
        (root / "share").mkdir(exist_ok=True)

    def stamp(self) -> Stamp:
        """What their events are dated by: all of them keep the right time."""
        return Stamp(self.now, "boot", True)

    def station(self, id: str = ONE, rules: RetentionConfig | None = None) -> Station:
        share = self.root / "share"
        target = self._target() if self._target else FolderTarget("centre", share, first_contact=True)
        made = Station(self.root / id, {"centre": target})
        take_over(made.catalog, rules or config())
        assert isinstance(target, Documents)
        author = Author(id, "one", lambda: {"station": id[:1]})
        self.stations[id] = made
        self.reports[id] = Report(author, made.uploads.generation, target, lambda: None)
        return made

    def tell(self) -> None:
        """What each station does every five minutes."""
        for id, station in self.stations.items():
            station.run()
            station.clock.now += 1
            assert self.reports[id].turn()

    def age(self, id: str = ONE, by: float = 0.0) -> None:
        """The status is written anew, as if it was `self.now - by`."""
        path = f"{id}/status.json"
        target = self.stations[id].targets["centre"]
        assert isinstance(target, Documents)
        said = json.loads(target.fetch(path) or b"")
        said["written_at"] = self.now - by
        target.lay(path, json.dumps(said).encode(), replace=True)

    def later(self, seconds: float) -> None:
        """So much time passes, and every station goes on telling."""
        self.now += seconds
        for id in self.stations:
            self.age(id)

    def close(self) -> None:
        for station in self.stations.values():
            station.close()


class Dated(FolderStore):
    """Its clock is the test's."""

    def __init__(self, root: Path, clock: Callable[[], float]) -> None:
        super().__init__(root)
        self._clock = clock

    def now(self) -> float:
        return self._clock()


def archive(sites: Sites, store: Store | None = None, extra: RetentionConfig | None = None) -> Archive:
    store = store or Dated(sites.root / "share", lambda: sites.now)
    return Archive(store, ruleset(extra) if extra else (), lambda: sites.now, 7 * DAY)


def going(plan: Plan) -> set[str]:
    return {one.key for one in plan.going}


def reasons(plan: Plan) -> dict[str, int]:
    return {key: reason.clips for key, reason in plan.kept.items()}


def listed(plan: Plan, root: Path) -> lists.ExpiryList:
    lists.write(plan, root / "list.jsonl")
    return lists.read((root / "list.jsonl").read_bytes())


def erase(made: Archive, wanted: lists.ExpiryList, **more: Any) -> Done:
    return expire(made, wanted, "Wang", "their time is over", **{"most": 100.0, **more})


def hold(station: Station, scope: str, value: str, since: str = "", until: str = "") -> int:
    said = {"scope": scope, "value": value, "since": since, "until": until}
    return station.catalog.write(lambda tx: holds.place(tx, said, {}))


def lift(station: Station, number: int) -> None:
    station.catalog.write(lambda tx: holds.lift(tx, number, {}))


def label(station: Station, clip: int, **said: str) -> None:
    station.catalog.write(lambda tx: labels.put(tx, clip, said, {}))


def close_case(station: Station, number: str) -> None:
    station.catalog.write(lambda tx: labels.case(tx, number, True, {}))


def certificates(store: Store) -> Mapping[str, Any]:
    return {
        name: json.loads(store.read(f"certificates/{name}") or b"")
        for name in store.below("certificates")
        if name.endswith(".json")
    }
