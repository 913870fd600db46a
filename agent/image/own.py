"""What this station gets out of the list of all: reads the list, lays `50-fleet.yaml` and the CA."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import Stop
from agent.image import fetch, fleet
from agent.image.copied import copy_ca
from agent.image.files import content, decoded, folder, put, text
from agent.image.machine import Machine
from agent.image.paths import Paths
from agent.image.report import Report
from agent.image.system import System

_PORTS = 5.0  # seconds until network ports must be there: drivers load beside the boot step
_CACHE = "stations.csv"


@dataclass(frozen=True, slots=True)
class Fleet:
    paths: Paths
    system: System
    report: Report
    machine: Callable[[], Machine]
    may_keep: bool  # there is a data disk
    get: fetch.Fetch = fetch.fetched
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic

    def lay(self) -> None:
        """Leaves no `50-fleet.yaml` and the common CA when there is no row, or no good one."""
        with self.report.guard():
            self._lay_common_ca()
        row, file = None, ""
        with self.report.guard():
            if (found := self._list()) is not None:
                file, listed = found
                row = self._own_row(listed, file)
        said = fleet.configuration(row, self.paths.boot, file, self.report) if row else {}
        if row and said:
            put(self.system, self.paths.fleet_config, fleet.written(said, row, file), mode=0o640, group=True)
        else:
            self.paths.fleet_config.unlink(missing_ok=True)
        if row and row["ca"]:
            self._lay_own_ca(row, file)

    def _lay_common_ca(self) -> None:
        try:
            copy_ca(self.paths, self.system, self.paths.boot / "ca.pem")
        except (FileNotFoundError, Stop) as error:
            self.paths.ca.unlink(missing_ok=True)
            if isinstance(error, Stop):
                raise

    def _lay_own_ca(self, row: fleet.Row, file: str) -> None:
        name = row["ca"].removesuffix(".pem")
        fault = f"there is no ca/{name}.pem on the boot partition"
        try:
            if fleet.MAP_NAME.fullmatch(name):
                copy_ca(self.paths, self.system, self.paths.boot / "ca" / f"{name}.pem")
                return
            fault = "should be the name of a file in ca/"
        except FileNotFoundError:
            pass
        except Stop:
            fault = f"ca/{name}.pem holds no certificate"
        self.report.problem("fleet-cell", file=file, row=row.number, column="ca", fault=fault)

    def _own_row(self, listed: list[fleet.Row], file: str) -> fleet.Row | None:
        until = self.monotonic() + _PORTS
        machine = self.machine()
        while not any(fleet.is_own(row, machine) for row in listed) and self.monotonic() < until:
            self.sleep(0.5)
            machine = self.machine()
        return fleet.own_row(listed, machine, file, self.report)

    def _list(self) -> tuple[str, list[fleet.Row]] | None:
        """The list from the intranet, else as it was last fetched, else the one on the boot partition;
        None when no list is meant to be."""
        with self.report.guard():
            if (fetched := self._from_intranet()) is not None:
                return fetched
        try:
            written = text(self.paths.boot / "stations.csv", fetch.LARGEST)
        except FileNotFoundError:
            return None
        return "stations.csv", fleet.rows(written, "stations.csv", self.report)

    def _from_intranet(self) -> tuple[str, list[fleet.Row]] | None:
        try:
            url = fetch.address(text(self.paths.boot / "fleet.url"))
        except FileNotFoundError:
            return None
        shown = fetch.shown(url)
        with self.report.guard():
            data = self.get(url, self.paths.ca if self.paths.ca.exists() else None)
            # Believed, and kept, only when it is such a table: a page that asks for a login is none.
            listed = fleet.rows(decoded(data, shown), shown, self.report)
            self._keep(data)
            return shown, listed
        try:
            kept = content(self.paths.fleet / _CACHE, fetch.LARGEST)
        except FileNotFoundError:
            return None
        return shown, fleet.rows(decoded(kept, shown), shown, self.report)

    def _keep(self, data: bytes) -> None:
        if self.may_keep:
            with self.report.guard():
                folder(self.system, self.paths.fleet, mode=0o700)
                put(self.system, self.paths.fleet / _CACHE, data, mode=0o600)
