"""Gathers, covers, writes."""

import io
import json
import os
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.config import Config
from agent.errors import Stop
from agent.support import gather, named
from agent.support.veil import Veil, names_in

_README = """A support bundle of a recorder station. No recording is in it.

What names a person, a unit, a recorder or a recording has a stand-in, ~ and ten letters: the same one
wherever it occurs here, another one in every other bundle. What looks like a secret is (secret). Numbers of
five figures and more in texts have stand-ins, too, since officers and recorders have such numbers.
"""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command has found out already: plain data."""

    config: Config
    path: Path | None  # of station.yaml, where another one than usual is meant
    faults: tuple[str, ...]  # of the configuration; then `config` is the defaults
    status: Any
    doctor: Any


@dataclass(frozen=True, slots=True)
class Lines:
    """Of a journal: what stands before each line is the system's own."""

    lines: list[tuple[str, str]]


def write(out: Path, asked: Asked) -> list[str]:
    """A new file at `out`, readable by its owner alone. Returns the names of what is in it. Raises Stop."""
    parts = dict(_parts(asked))
    veil = _veil(asked, parts)
    covered = {name: _covered(veil, part) for name, part in parts.items()}
    try:
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise Stop("export-exists", file=str(out)) from error
    except OSError as error:
        raise Stop("file-not-written", file=str(out), reason=error.strerror or str(error)) from error
    try:
        with os.fdopen(descriptor, "wb") as file, tarfile.open(fileobj=file, mode="w:gz") as tar:
            os.fchmod(descriptor, 0o600)
            for name, text in {"README": _README, **covered}.items():
                content = text.encode("utf-8", "backslashreplace")
                tar.addfile(_entry(name, content), io.BytesIO(content))
    except OSError as error:
        out.unlink(missing_ok=True)
        raise Stop("file-not-written", file=str(out), reason=error.strerror or str(error)) from error
    return list(covered)


def _parts(asked: Asked) -> Iterator[tuple[str, Any]]:
    config, store = asked.config, asked.config.store.path
    yield "status.json", _shown(asked.status)
    yield "doctor.json", asked.doctor
    yield "configuration.json", {"faults": list(asked.faults), **gather.configuration(config)}
    gathered: Mapping[str, Callable[[], Any]] = {
        "versions.json": gather.versions,
        "machine.json": lambda: gather.machine(config),
        "usb.txt": gather.usb,
        "catalog.json": lambda: gather.catalog(store),
        "log.json": lambda: gather.log(store),
        "boot.json": gather.boot,
        "journal.txt": lambda: Lines(list(gather.journal())),
        "kernel.txt": lambda: Lines(list(gather.kernel())),
    }
    for name, part in gathered.items():
        try:
            yield name, part()
        except Exception as error:  # noqa: BLE001 - told in its place: the rest is needed all the more
            yield name, f"could not be had: {type(error).__name__}: {error}"


def _shown(status: Any) -> Any:
    """Without what tells two issues of one key apart: it may be a recorder, or a target, and
    their parameters tell it in fields that say which."""
    if not isinstance(status, dict):
        return status
    issues = [
        {name: value for name, value in issue.items() if name != "subject"}
        for issue in status.get("health", [])
    ]
    return {**status, "health": issues}


def _veil(asked: Asked, parts: Mapping[str, Any]) -> Veil:
    corpus = [text for part in parts.values() for text in _texts(part)]
    occurring = named.Occurring(corpus)
    store = asked.config.store.path
    sources: list[Iterable[str]] = [named.of_files(asked.config, asked.path), named.of_texts(store)]
    told = [name for part in parts.values() for name in names_in(part)]
    for names in (*sources, named.of_catalog(store), told, [os.uname().nodename]):
        occurring.look(names)
    occurring.look_at_paths(named.paths_of(store))
    hidden = named.Occurring(corpus)
    hidden.look(named.secrets_of(asked.config, asked.path))
    return Veil(occurring.names, hidden.names)


def _texts(part: Any) -> Iterator[str]:
    if isinstance(part, Lines):
        yield from (said for _, said in part.lines)
    elif isinstance(part, str):
        yield part
    elif isinstance(part, Mapping):
        for key, value in part.items():
            yield str(key)
            yield from _texts(value)
    elif isinstance(part, list | tuple):
        for each in part:
            yield from _texts(each)


def _covered(veil: Veil, part: Any) -> str:
    if isinstance(part, Lines):
        return "".join(f"{before} {veil.text(said)}\n" for before, said in part.lines)
    if isinstance(part, str):
        return veil.text(part) + "\n"
    return json.dumps(veil.data(part), ensure_ascii=False, indent=1) + "\n"


def _entry(name: str, content: bytes) -> tarfile.TarInfo:
    """Nobody's user and group."""
    entry = tarfile.TarInfo(f"support/{name}")
    entry.size, entry.mtime, entry.mode = len(content), int(time.time()), 0o600
    return entry
