"""What names somebody or something on this station, as far as it occurs in what was gathered.

A catalog has a million names of clips, and a board 1 GiB of memory: they are passed by, not loaded.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml

from agent.catalog import beside
from agent.config import Config
from agent.config.layers import roster_path, station_path
from agent.config.retention import SOURCES
from agent.config.targets import S3Target
from agent.errors import CatalogError
from agent.model import ClipState, DeliveryState, SlotState, printable
from agent.support.veil import plain_slot

#: Letters and figures apart: a name may stand in the middle of a longer one, as in `LiWei_0001`.
_WORD = re.compile(r"[^\W\d_]+|\d+")
_SHORTEST, _LARGEST = 3, 4 << 20  # characters; bytes
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_SECRET_KEY = re.compile(r"pass|pwd|secret|token|credential|key", re.IGNORECASE)
_WHERE = frozenset({"credentials", "certificate_key"})  # these tell where a secret is, not which
_USER = re.compile(r"://([^/\s:@]+)(?::([^/\s@]*))?@")
#: Words of our own, or of a standard, in columns where anything else is a name.
_OURS = frozenset(
    {*SOURCES, *ClipState, *DeliveryState, *SlotState, "true", "false", "none", "null", "other", "dcim"}
)
#: Text columns that name nobody. What is not listed does, or may one day.
_HARMLESS = {
    "events": {"kind", "body", "boot_id"},  # a body goes into no bundle, and holds words of ours as well
    "clips": {
        "state",
        "fs_id",
        "kind",
        "recorded_at",
        "time_source",
        "key",
    },  # a key is no name without its looks
    "dockings": {"outcome"},
    "names": {"recorder", "fs_id"},
    "deliveries": {"target", "state", "token", "place", "receipt", "problem"},
    "manifests": {"unreadable"},
    "clip_counts": {"state"},
    "meta": {"key", "value"},
    "followed": {"target", "place"},
    "waiting": {"target"},
    "findings": {"rule", "state"},
    "judged": {"recorder", "known"},
    "clock_offsets": {"recorder"},
    "holds": {"scope", "since", "until"},
    "rulesets": {"state"},
    "erasures": {"recorder", "fs_id"},
    "doomed": {"fate"},
    "accounts": {"role", "password"},
    "tokens": {"used"},
    "acknowledgements": {"key", "severity"},
}


class Occurring:
    """The names among those shown to it that occur in `corpus`."""

    def __init__(self, corpus: Sequence[str]) -> None:
        self._text = "\n".join(corpus).casefold()
        self._words = set(_WORD.findall(self._text))
        self.names: set[str] = set()

    def look(self, names: Iterable[str]) -> None:
        for said in names:
            for name in {said, printable(said)}:
                if self._may(name) and name.casefold() in self._text:
                    self.names.add(name)

    def look_at_paths(self, paths: Iterable[bytes]) -> None:
        """Of recordings: the name, with and without its ending, and each folder. A million of them take
        seconds: one look at the words of each name, and no more for nearly all."""
        self.look(set(self._parts_that_may_occur(paths)))

    def _parts_that_may_occur(self, paths: Iterable[bytes]) -> Iterator[str]:
        last = ""
        for raw in paths:
            path = raw.decode("utf-8", "surrogateescape")
            folder, _, name = path.rpartition("/")
            if folder != last:  # they come in the order in which they were listed
                last = folder
                yield from folder.split("/")
            stem = name.rpartition(".")[0] or name
            if self._words.issuperset(_WORD.findall(stem.casefold())):
                yield from (path, name, stem)

    def _may(self, name: str) -> bool:
        if len(name) < _SHORTEST or name.casefold() in _OURS or _DATE.fullmatch(name):
            return False
        return all(
            word in self._words for word in _WORD.findall(name.casefold())
        )  # the text is searched last


def of_catalog(store: Path) -> Iterator[str]:
    """Every name in it but those of recordings; nothing of a catalog that cannot be read."""
    try:
        with beside.reading(store) as db:
            tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for table in tables:
                yield from _of_table(db, table)
    except CatalogError:
        return


def paths_of(store: Path) -> Iterator[bytes]:
    """Of every clip, raw, as its recorder has it."""
    try:
        with beside.reading(store) as db:
            yield from (row[0] for row in db.execute("SELECT path FROM clips"))
    except CatalogError:
        return


def _of_table(db: sqlite3.Connection, table: str) -> Iterator[str]:
    harmless = _HARMLESS.get(table, set())
    for _, column, kind, *_ in db.execute(f'PRAGMA table_info("{table}")').fetchall():
        if kind == "TEXT" and column not in harmless:
            for (value,) in db.execute(f'SELECT DISTINCT "{column}" FROM "{table}"'):
                yield from _texts(value)


def _texts(value: Any) -> Iterator[str]:
    """Of a text, or of each text in JSON."""
    if not isinstance(value, str):
        return
    if value[:1] in "[{":
        try:
            yield from _leaves(json.loads(value))
            return
        except ValueError:
            pass
    yield value


def _leaves(given: Any) -> Iterator[str]:
    if isinstance(given, str):
        yield given
    elif isinstance(given, dict):
        for value in given.values():
            yield from _leaves(value)
    elif isinstance(given, list):
        for value in given:
            yield from _leaves(value)


def of_texts(store: Path) -> Iterator[str]:
    """What people wrote, beside the log."""
    for file in (store / "custody/texts").glob("*.json"):
        try:
            said = json.loads(_read(file))["text"]
        except (ValueError, KeyError, TypeError):
            continue
        if isinstance(said, str):
            yield from (said, json.dumps(said)[1:-1])


def of_files(config: Config, path: Path | None) -> Iterator[str]:
    """Of station.yaml and the roster, as they lie there, also where they are faulty."""
    yield config.station.name
    yield from (name for name in config.dock.slots if not plain_slot(name))
    for rule, said in config.retention.rules.items():
        yield from (rule, *said.unit, *said.case, *said.category)
    if roster := roster_path(station_path(path), config):
        yield from (cell.strip() for cell in re.split(r"[,;\t\r\n\"]", _decoded(_read(roster))))


def secrets_of(config: Config, path: Path | None) -> Iterator[str]:
    """What stands under a key that is called like a secret, users in addresses, and the keys of buckets."""
    station = station_path(path)
    for file in [station, *sorted((station.parent / "conf.d").glob("*"))]:
        text = _decoded(_read(file))
        yield from (part for found in _USER.finditer(text) for part in found.groups("") if part)
        for line in text.splitlines():
            key, colon, value = line.partition(":")
            if colon and _secret(key.strip(" -\"'")):
                yield value.strip().strip("\"'")
        try:
            yield from _under_secret_keys(yaml.safe_load(text))
        except (yaml.YAMLError, RecursionError):
            continue
    for target in config.targets.values():
        if isinstance(target, S3Target) and target.credentials.startswith("/"):
            lines = _decoded(_read(Path(target.credentials))).splitlines()
            yield from (line.partition("=")[2].strip() for line in lines if "=" in line)


def _under_secret_keys(given: Any) -> Iterator[str]:
    for key, value in given.items() if isinstance(given, dict) else ():
        if isinstance(value, str) and _secret(str(key)):
            yield value
        yield from _under_secret_keys(value)


def _secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None and key not in _WHERE


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_LARGEST)
    except OSError:
        return b""


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("gb18030", "replace")  # as a spreadsheet writes it
