"""`recorder-station-boot`: run by root at each boot before the agent, and again whenever somebody likes.

    recorder-station-boot            everything
    recorder-station-boot --fleet    fetch the list of stations anew, and what hangs on it

It ends with 0 whatever it meets: a station that knows nothing of itself still collects.
"""

import argparse
import contextlib
import errno
import functools
import logging
import os
import sys
from collections.abc import Callable

from agent import booted
from agent.config import load
from agent.config.web import WebConfig
from agent.errors import ConfigError, Stop
from agent.image import copied, fetch, identity, names, ports_rules, secret_files
from agent.image.files import folder, put
from agent.image.machine import this_machine
from agent.image.own import Fleet
from agent.image.paths import Paths
from agent.image.report import Report, earlier, unfinished
from agent.image.slots import slots
from agent.image.system import System, is_disk

log = logging.getLogger(__name__)

#: A full disk is none to refuse: the agent keeps its reserve, and says so.
_WORDS = {errno.EROFS: "read-only", errno.ENOSPC: ""}


class Boot:
    def __init__(self, paths: Paths, system: System, get: fetch.Fetch = fetch.fetched) -> None:
        self._paths = paths
        self._system = system
        self._get = get
        self._report = Report()
        self._data = False

    def run(self, only_fleet: bool = False) -> Report:
        self._folders()
        if only_fleet:
            self._report = earlier(self._paths)
        else:
            unfinished().write(self._system, self._paths)
        parts = self._parts()
        for name in ("data", "fleet", "names", "time") if only_fleet else parts:
            with self._report.part(name):
                parts[name]()
        self._report.write(self._system, self._paths)
        return self._report

    def _parts(self) -> dict[str, Callable[[], None]]:
        """In the order in which one needs the other."""
        paths, system, report = self._paths, self._system, self._report
        return {
            "data": self._look_at_data,
            "names-of-files": self._look_at_boot,
            "roster": functools.partial(copied.copy_roster, paths, system),
            "config": functools.partial(copied.copy_config, paths, system, report),
            "fleet": self._fleet,
            "names": functools.partial(names.set_host_name, paths, system),
            "time": functools.partial(names.set_time_servers, paths, system, report, self._restart_time),
            "ssh": functools.partial(copied.copy_keys, paths, system, report),
            "shares": functools.partial(copied.copy_shares, paths, system, report),
            "secrets": self._secrets,
            "identity": self._identity,
            "ports": self._ports,
            "kiosk": self._kiosk,
            "update": self._update,
        }

    def _folders(self) -> None:
        folder(self._system, self._paths.run)
        folder(self._system, self._paths.config, mode=0o750, group=True)
        folder(self._system, self._paths.config / "conf.d", mode=0o750, group=True)

    def _look_at_data(self) -> None:
        """The initramfs has its say in `data-problem`; what it did not see is added here. Without a data disk
        nothing that must last is written anywhere."""
        paths = self._paths
        if paths.data_problem.exists():
            return
        word = ""
        if not is_disk(self._system.file_system(paths.data)):
            word = "missing"
        else:
            try:
                _try_to_write(paths)
            except OSError as error:
                log.error("the data disk cannot be written: %s", error)
                word = _WORDS.get(error.errno or 0, "damaged")
        if word:
            put(self._system, paths.data_problem, f"{word}\n".encode())
        self._data = not word

    def _look_at_boot(self) -> None:
        if not self._system.file_system(self._paths.boot):
            raise Stop("boot-partition-missing")
        copied.look_for_wrong_names(self._paths.boot, self._report)

    def _fleet(self) -> None:
        machine = functools.partial(this_machine, self._paths.root)
        Fleet(self._paths, self._system, self._report, machine, self._data, self._get).lay()

    def _secrets(self) -> None:
        if self._data:
            secret_files.move(self._paths, self._system, self._report)
        elif waiting := secret_files.waiting(self._paths):
            self._report.problem("secret-no-disk", count=len(waiting))

    def _identity(self) -> None:
        if self._data:
            identity.ensure(self._paths, self._system, self._report, names.machine_id(self._paths))

    def _ports(self) -> None:
        """Where a badge scanner or a touch screen may be: nowhere, when the configuration has a fault."""
        try:
            ports = load(self._paths.station).dock.input_ports
        except ConfigError:
            ports = {}
        rules = self._paths.port_rules
        if ports:
            rules.parent.mkdir(parents=True, exist_ok=True)
            changed = put(self._system, rules, ports_rules.text(ports).encode())
        else:
            changed = rules.exists()
            rules.unlink(missing_ok=True)
        if changed:
            for command in ports_rules.RELOAD:
                self._system.run(command)

    def _kiosk(self) -> None:
        """Which address the screen at the rack shows, where it is not the one that its unit knows."""
        usual = listen = WebConfig().listen
        with contextlib.suppress(ConfigError):  # then the agent, too, goes by the defaults
            listen = load(self._paths.station).web.listen
        file = self._paths.kiosk
        if listen != usual:
            changed = put(self._system, file, f"KIOSK_PAGE=http://{listen}/kiosk\n".encode())
        else:
            changed = file.exists()
            file.unlink(missing_ok=True)
        if changed:
            self._system.run(["systemctl", "--no-block", "try-restart", "recorder-kiosk.service"])

    def _update(self) -> None:
        """The agent may not read the boot partition: that an update fell back is told to it here."""
        with contextlib.suppress(FileNotFoundError):
            if slot := slots(self._paths).fell_back:
                self._report.problem("update-fell-back", slot=slot)

    def _restart_time(self) -> None:
        self._system.run(["systemctl", "--no-block", "try-restart", "systemd-timesyncd.service"])


def _try_to_write(paths: Paths) -> None:
    trial = paths.data / ".recorder-station-boot"
    fd = os.open(trial, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
    trial.unlink()


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Makes this station out of its image; does nothing elsewhere."
    )
    parser.add_argument("--fleet", action="store_true", help="only fetch the list of stations anew")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
    if not booted.on_image():
        print("recorder-station-boot: this is no station image; nothing was done", file=sys.stderr)
        return
    try:
        Boot(Paths(), System()).run(only_fleet=arguments.fleet)
    except Exception:
        log.exception("the boot step failed")
