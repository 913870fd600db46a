"""The layers: schema defaults, then `station.yaml`, then `conf.d/*.yaml` beside it in name order.

Each file is checked on its own, so that a fault which a later layer hides is still reported; then the
whole is, for what only shows when everything is together. Any fault refuses the whole.
"""

import os
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from agent import booted
from agent.config.documents import Document, Fault, Mark, Place, merge, read
from agent.config.faults import INCOMPLETE, explain
from agent.config.schema import Config
from agent.config.units import FROM_FILE
from agent.errors import ConfigError

STATION_FILE = Path("/etc/recorder-station/station.yaml")
ENVIRONMENT = "RECORDER_STATION_CONFIG"


def station_path(path: Path | None = None) -> Path:
    """`path`, else the one that the environment names, else the usual one; absolute."""
    return (path or Path(os.environ.get(ENVIRONMENT) or STATION_FILE)).absolute()


def load(path: Path | None = None) -> Config:
    """The configuration in force by the files. Raises ConfigError with every fault of every file.
    A missing station.yaml is no fault: the defaults are a configuration."""
    documents = read_layers(station_path(path))
    data: dict[str, Any] = {}
    marks: dict[Place, Mark] = {}
    found = {fault for document in documents for fault in document.faults}
    for document in documents:
        found.update(_check(document.data, document.marks, complete=False)[1])
        data = merge(data, document.data)
        marks |= document.marks
    config, faults = _check(data, marks, complete=True)
    found.update(faults)
    if found or config is None:
        order = {document.file: number for number, document in enumerate(documents)}
        raise ConfigError([str(f) for f in sorted(found, key=lambda f: (order[f.file], f))])
    return config


def sound(path: Path | None = None) -> Config:
    """Of faulty files the sections in which nothing is wrong, and the defaults for others: for who looks into
    what is wrong. Nobody runs by it."""
    data: dict[str, Any] = {}
    for document in read_layers(station_path(path)):
        data = merge(data, document.data)
    sections = {name: data[name] for name in Config.model_fields if name in data}
    good = {name: said for name, said in sections.items() if _check({name: said}, {}, complete=True)[0]}
    return _check(good, {}, complete=True)[0] or Config()


def roster_path(station: Path, config: Config) -> Path | None:
    """Where the roster lies that `config`, of the file `station`, speaks of."""
    return station.parent / config.roster if config.roster else None


def read_layers(station: Path) -> list[Document]:
    """The files that are there, in the order of the layers, each with the faults of its form."""
    documents = _read(station)
    conf_d = station.parent / "conf.d"
    try:
        files = sorted(file for file in conf_d.iterdir() if not file.name.startswith("."))
    except FileNotFoundError:
        return documents
    except OSError as error:
        return [*documents, _faulty(conf_d, f"cannot be read: {error.strerror}")]
    for file in files:
        if file.name.endswith(".yaml"):
            documents += _read(file)
        elif file.name.endswith(".yml"):
            documents.append(_faulty(file, "is not read: rename it to end in `.yaml`"))
    return documents


def changed(config: Config) -> dict[str, Any]:
    """Only what differs from the defaults, as it would be written in a file."""
    written = config.model_dump(mode="json", exclude_defaults=True)
    return _differences(written, Config().model_dump(mode="json"))


def _read(file: Path) -> list[Document]:
    try:
        return [read(file)]
    except FileNotFoundError:
        return [_faulty(file, "cannot be read: a link to no file")] if file.is_symlink() else []


def _faulty(file: Path, message: str) -> Document:
    return Document(file, faults=[Fault(file, 1, message)])


def _check(
    data: dict[str, Any], marks: dict[Place, Mark], *, complete: bool
) -> tuple[Config | None, list[Fault]]:
    try:
        context = {**FROM_FILE, "image": booted.on_image()}
        return Config.model_validate(data, context=context), []
    except ValidationError as error:
        errors = [e for e in error.errors() if complete or e["type"] not in INCOMPLETE]
        return None, [fault for e in errors for fault in explain(e, Config, marks)]


def _differences(written: dict[str, Any], default: dict[str, Any]) -> dict[str, Any]:
    different = {}
    for key, value in written.items():
        if isinstance(value, dict) and isinstance(default.get(key), dict):
            if below := _differences(value, default[key]):
                different[key] = below
        elif key not in default or value != default[key]:
            different[key] = value
    return different
