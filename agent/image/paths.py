"""Where everything lies on a station. Tests give another root."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Paths:
    root: Path = Path("/")

    @property
    def boot(self) -> Path:
        """The boot partition: FAT, written by people on any PC."""
        return self.root / "boot"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def secrets(self) -> Path:
        return self.data / "secrets"

    @property
    def identity(self) -> Path:
        return self.data / "identity"

    @property
    def fleet(self) -> Path:
        """What was fetched from the intranet, for starts without network."""
        return self.data / "fleet"

    @property
    def config(self) -> Path:
        """`/etc/recorder-station` of an image is a link to it."""
        return self.root / "run/recorder-station-config"

    @property
    def station(self) -> Path:
        return self.config / "station.yaml"

    @property
    def roster(self) -> Path:
        return self.config / "roster.csv"

    @property
    def fleet_config(self) -> Path:
        return self.config / "conf.d/50-fleet.yaml"

    @property
    def ca(self) -> Path:
        return self.config / "ca.pem"

    @property
    def run(self) -> Path:
        return self.root / "run/recorder-station-boot"

    @property
    def problems(self) -> Path:
        return self.run / "problems.json"

    @property
    def data_problem(self) -> Path:
        return self.run / "data-problem"

    @property
    def authorized_keys(self) -> Path:
        return self.run / "authorized_keys"

    @property
    def shares(self) -> Path:
        return self.run / "shares.fstab"

    @property
    def host_name(self) -> Path:
        return self.run / "hostname"

    @property
    def kiosk(self) -> Path:
        """Read by recorder-kiosk.service."""
        return self.run / "kiosk"

    @property
    def time_servers(self) -> Path:
        return self.root / "run/systemd/timesyncd.conf.d/50-station.conf"

    @property
    def port_rules(self) -> Path:
        return self.root / "run/udev/rules.d/58-recorder-station-ports.rules"

    @property
    def updates(self) -> Path:
        """Where a bundle lies while it is checked and installed."""
        return self.data / "update"

    @property
    def grub_environment(self) -> Path:
        return self.boot / "grub/grubenv"

    @property
    def kernel_line(self) -> Path:
        return self.root / "proc/cmdline"

    @property
    def image(self) -> Path:
        """Version and architecture of what runs."""
        return self.root / "usr/lib/recorder-station/image"

    @property
    def machine_id(self) -> Path:
        return self.root / "etc/machine-id"
