"""What goes into a support bundle, uncovered. Each part is one function; what fails says so in its place."""

import json
import os
import platform
import shutil
import sqlite3
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import closing
from importlib import metadata
from pathlib import Path
from typing import Any

from agent import __version__, booted
from agent.catalog import beside, queries
from agent.catalog.home import catalog_path
from agent.config import Config, changed
from agent.custody.log.opening import is_over, numbers
from agent.custody.log.reading import Log
from agent.dock.hubs import Wiring
from agent.errors import StationError

_LINES, _KERNEL_LINES = 4000, 1000
_UNITS = ("recorder-station", "recorder-station-helper", "recorder-kiosk", "recorder-station-boot")
_PATIENCE = 60.0  # seconds for a program of the system
_CHECK = 15.0  # seconds for SQLite to look at a catalog
_STEPS = 100_000  # of SQLite's machine, between two looks at the time
_LIBRARIES = (
    "pydantic",
    "fastapi",
    "starlette",
    "uvicorn",
    "pyudev",
    "PyYAML",
    "urllib3",
    "cryptography",
    "typer",
)
_FIGURES = ("ActiveState", "SubState", "Result", "NRestarts", "MemoryCurrent", "MemoryPeak", "TasksCurrent")


def versions() -> dict[str, Any]:
    return {
        "agent": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "image": _text(booted.IMAGE) if booted.on_image() else "",
    }


def configuration(config: Config) -> dict[str, Any]:
    """Without the station's name."""
    shown = {"in_force": config.model_dump(mode="json"), "changed": changed(config)}
    for said in shown.values():
        said.get("station", {}).pop("name", None)
    return shown


def machine(config: Config) -> dict[str, Any]:
    """Without its name on the network."""
    system = os.uname()
    return {
        "system": next((line for line in _lines("/etc/os-release") if line.startswith("PRETTY_NAME=")), ""),
        "kernel": f"{system.sysname} {system.release} {system.machine}",
        "model": _text(Path("/sys/firmware/devicetree/base/model")).strip("\0\n"),
        "processors": os.cpu_count(),
        "memory_kib": _memory(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "uptime_seconds": time.clock_gettime(time.CLOCK_BOOTTIME),
        "disks": {path: _room(Path(path)) for path in ("/", str(config.store.path))},
        "sectors": dict(_sectors()),
        "units": {unit: _unit(unit) for unit in _UNITS},
    }


def usb() -> str:
    """One device a line, below what it hangs on."""
    lines = []
    for device in Wiring().devices:
        depth = 0 if device.root else device.name.count(".") + 1
        kind = "root hub" if device.root else "hub" if device.hub else "device"
        said = [
            device.name,
            kind,
            device.ids,
            f"{device.speed:g} Mbit/s",
            f"USB {device.version}",
            device.product,
        ]
        lines.append("  " * depth + "  ".join(said))
        if device.root:
            lines[-1] += f"  at {device.controller.name}"
    return "\n".join(lines) or "no USB here"


def catalog(store: Path) -> dict[str, Any]:
    path = catalog_path(store)
    with beside.reading(store) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        pragmas = ("user_version", "page_size", "page_count", "freelist_count", "journal_mode")
        return {
            "bytes": {file.name: file.stat().st_size for file in sorted(path.parent.glob(f"{path.name}*"))},
            **{name: db.execute(f"PRAGMA {name}").fetchone()[0] for name in pragmas},
            "clips": queries.counts(db),
            "rows": {table: _rows(db, table) for table in tables},
            "quick_check": _quick_check(path),
        }


def log(store: Path) -> list[dict[str, Any]]:
    folder = store / "custody"
    return [_log(folder / str(number)) for number in (numbers(folder) if folder.is_dir() else ())]


def boot() -> list[dict[str, Any]]:
    return [{"key": problem.key, "params": dict(problem.params)} for problem in booted.problems()]


def journal() -> Iterator[tuple[str, str]]:
    """(when, where from and how urgent; what was said) of the last lines of our units."""
    units = [f"--unit={unit}" for unit in _UNITS]
    return _journal([*units, f"--lines={_LINES}"])


def kernel() -> Iterator[tuple[str, str]]:
    return _journal(["--dmesg", f"--lines={_KERNEL_LINES}"])


def _journal(asked: list[str]) -> Iterator[tuple[str, str]]:
    fields = "--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER"
    for line in _program("journalctl", *asked, "--no-pager", "--quiet", "--output=json", fields).splitlines():
        said = json.loads(line)
        at = int(said["__REALTIME_TIMESTAMP"]) / 1e6
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        yield (
            f"{when} {said.get('SYSLOG_IDENTIFIER')} <{said.get('PRIORITY')}>",
            _message(said.get("MESSAGE")),
        )


def _message(said: Any) -> str:
    """The journal gives bytes as numbers where they are no plain text."""
    if isinstance(said, list):
        return bytes(byte for byte in said if isinstance(byte, int)).decode("utf-8", "backslashreplace")
    return str(said)


def _program(*command: str) -> str:
    """What it prints. Raises OSError, subprocess.SubprocessError."""
    done = subprocess.run(command, capture_output=True, timeout=_PATIENCE, check=True)
    return done.stdout.decode("utf-8", "backslashreplace")


def _unit(name: str) -> str:
    if shutil.which("systemctl") is None:
        return "no systemd here"
    try:
        return _program("systemctl", "show", name, f"--property={','.join(_FIGURES)}")
    except (OSError, subprocess.SubprocessError) as error:
        return f"not told: {type(error).__name__}"


def _rows(db: sqlite3.Connection, table: str) -> int:
    return int(db.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0])


def _quick_check(path: Path) -> str:
    """`ok`, what is wrong, or that there was no time for it."""
    until = time.monotonic() + _CHECK
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as db:
        db.set_progress_handler(lambda: time.monotonic() > until, _STEPS)
        try:
            return "; ".join(str(row[0]) for row in db.execute("PRAGMA quick_check(5)"))
        except sqlite3.OperationalError as error:
            return f"not finished within {_CHECK:g} s: {error}"


def _log(folder: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {
        "log": int(folder.name),
        "over": is_over(folder),
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
    }
    try:
        return {**facts, "entries": Log(folder).head.size}
    except StationError as error:
        return {**facts, "unreadable": str(error)}


def _room(path: Path) -> Mapping[str, int] | str:
    try:
        found = os.statvfs(path)
    except OSError as error:
        return error.strerror or str(error)
    return {
        "bytes": found.f_blocks * found.f_frsize,
        "free": found.f_bavail * found.f_frsize,
        "inodes_free": found.f_favail,
    }


def _sectors() -> Iterator[tuple[str, int]]:
    """Of every disk: how many of 512 bytes it has."""
    for disk in sorted(Path("/sys/block").glob("*")):
        size = _text(disk / "size").strip()
        if size.isdecimal() and not disk.name.startswith(("loop", "ram", "zram")):
            yield disk.name, int(size)


def _memory() -> dict[str, int]:
    rows = (line.split() for line in _lines("/proc/meminfo"))
    wanted = ("MemTotal:", "MemFree:", "MemAvailable:", "Cached:", "SwapTotal:", "SwapFree:")
    return {row[0].rstrip(":"): int(row[1]) for row in rows if row[0] in wanted}


def _version(library: str) -> str:
    try:
        return metadata.version(library)
    except metadata.PackageNotFoundError:
        return "none"


def _lines(path: str) -> list[str]:
    return _text(Path(path)).splitlines()


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
