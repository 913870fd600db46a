"""What `doctor` looks at: one function per thing, each tells what it found. An agent that runs is asked."""

import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from agent.cli.client import Client, NoAgent
from agent.cli.examined import Finding, Level
from agent.cli.rack import rack
from agent.cli.smart import smart
from agent.cli.speech import Setting
from agent.clock import synchronised
from agent.config import Config
from agent.config.targets import FolderTarget
from agent.errors import StationError
from agent.ingest.store import disk
from agent.privileged.client import Helper
from agent.status.health import Severity
from agent.status.health.certificates import configured
from agent.status.health.machine import machine_checks
from agent.upload.build import build

_UDEV_CONTROL = Path("/run/udev/control")
_CAP_SYS_ADMIN = 21


def examine(chosen: Setting) -> Iterator[Finding]:
    """Everything, in the order in which it is worth mending."""
    if chosen.config is None:
        yield from (Finding("config", Level.FAIL, "config-bad", {"fault": f}) for f in chosen.faults)
    else:
        yield Finding("config", Level.OK, "config-ok")
    for name, look in _EXAMINERS.items():
        if chosen.config is None and name in _NEED_CONFIG:
            yield Finding(name, Level.WARN, "skipped", {"name": name})
            continue
        try:
            yield from look(chosen.config or Config())
        except OSError as error:
            reason = {"name": name, "reason": _reason(error)}
            yield Finding(name, Level.FAIL, "examiner-failed", reason)


def store(config: Config) -> Iterator[Finding]:
    path = config.store.path
    if not path.exists():
        yield Finding("store", Level.WARN, "store-missing", {"path": str(path)})
        return
    if reason := _not_writable(path):
        yield Finding("store", Level.FAIL, "store-not-writable", {"path": str(path), "reason": reason})
        return
    free, _, reserve = disk(path, config.store.reserve)
    params = {"path": str(path), "free": free, "reserve": reserve}
    yield Finding(
        "store", *((Level.FAIL, "store-low") if free <= reserve else (Level.OK, "store-ok")), params
    )


def udev(config: Config) -> Iterator[Finding]:
    if not config.dock.udev:
        yield Finding("udev", Level.OK, "udev-off")
        return
    try:
        import pyudev  # here: on a machine without libudev this import is what fails

        pyudev.Context()
    except (ImportError, OSError) as error:
        yield Finding("udev", Level.FAIL, "udev-no-library", {"reason": str(error)})
        return
    running = _UDEV_CONTROL.exists()
    yield Finding("udev", *((Level.OK, "udev-ok") if running else (Level.FAIL, "udev-not-running")))


def mount(config: Config) -> Iterator[Finding]:
    if not config.dock.udev:
        return
    lines = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    effective = int(next(line for line in lines if line.startswith("CapEff:")).split()[1], 16)
    if not effective >> _CAP_SYS_ADMIN & 1:
        try:
            Helper(config.dock.helper).mounted()
        except OSError as error:
            reason = {"path": str(config.dock.helper), "reason": _reason(error)}
            yield Finding("mount", Level.FAIL, "mount-no-helper", reason)
            return
    yield Finding("mount", Level.OK, "mount-ok")


def clock(config: Config) -> Iterator[Finding]:
    trusted = synchronised()
    yield Finding("clock", *((Level.OK, "clock-ok") if trusted else (Level.WARN, "clock-bad")))


def targets(config: Config) -> Iterator[Finding]:
    if not config.targets:
        yield Finding("targets", Level.WARN, "target-none")
    for name, target in config.targets.items():
        if isinstance(target, FolderTarget):
            yield _folder(name, target.path)
        else:
            yield _server(config, name)


def health(config: Config) -> Iterator[Finding]:
    """As the agent sees it; without one, what this process can see of the machine."""
    try:
        issues = Client(config.web.socket).get("/status")["health"]
    except NoAgent:
        yield Finding("agent", Level.INFO, "agent-none", {"socket": str(config.web.socket)})
    except StationError as error:
        yield Finding("agent", Level.WARN, error.key, error.params)
    else:
        for issue in issues:
            yield Finding("agent", _LEVELS[issue["severity"]], issue["key"], issue["params"], issue)
        if not issues:
            yield Finding("agent", Level.OK, "agent-well")
        return
    for name, check in machine_checks(lambda: configured(config), synchronised).items():
        for found in check():
            yield Finding(name, _LEVELS[found.severity], found.key, found.params)


_EXAMINERS: Mapping[str, Callable[[Config], Iterator[Finding]]] = {
    "store": store,
    "udev": udev,
    "mount": mount,
    "clock": clock,
    "targets": targets,
    "agent": health,
    "disk": smart,
    "rack": rack,
}
_LEVELS = {Severity.INFO: Level.INFO, Severity.WARNING: Level.WARN, Severity.CRITICAL: Level.FAIL}
_UNTOLD = "?"  # the place of a target that is known, and not to us
_NEED_CONFIG = frozenset({"store", "targets", "disk", "rack"})


def _folder(name: str, path: Path) -> Finding:
    params = {"target": name, "path": str(path)}
    if reason := _not_writable(path):
        return Finding("targets", Level.FAIL, "target-bad", {**params, "reason": reason})
    return Finding("targets", Level.OK, "target-ok", params)


def _server(config: Config, name: str) -> Finding:
    """Asked who it is, as one that must be known: nothing is made there."""
    target = build({name: config.targets[name]}, lambda *_: _UNTOLD, config.store.path)[name]
    params = {"target": name, "path": target.address}
    try:
        target.place()
    except StationError as error:
        if error.key == "target-no-mark":
            return Finding("targets", Level.OK, "target-new", params)
        if error.key == "target-mark-unknown":
            return Finding("targets", Level.OK, "target-answers", params)
        return Finding("targets", Level.FAIL, error.key, {**params, **error.params})
    return Finding("targets", Level.OK, "target-answers", params)


def _not_writable(folder: Path) -> str:
    """Why nothing can be written there; "" when it can. The file that is tried has no name."""
    try:
        with tempfile.TemporaryFile(dir=folder) as trial:
            trial.write(b"\0" * 4096)
            trial.flush()
            os.fsync(trial.fileno())
    except OSError as error:
        return _reason(error)
    return ""


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
