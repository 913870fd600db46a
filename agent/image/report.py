"""What went wrong, collected. A part that fails, whatever way, fails alone."""

import contextlib
import json
import logging
from collections.abc import Iterator
from typing import Any

from agent.errors import StationError
from agent.image.files import put
from agent.image.paths import Paths
from agent.image.system import System

log = logging.getLogger(__name__)

_MOST = 100  # problems of one part: a hostile file fills no screen


class Report:
    """Problems by the part of the boot step that found them, so that a part can be done anew."""

    def __init__(self, earlier: dict[str, list[dict[str, Any]]] | None = None) -> None:
        self._found = earlier or {}
        self._part = "start"

    def problem(self, key: str, /, **params: Any) -> None:
        found = self._found.setdefault(self._part, [])
        if len(found) < _MOST:
            found.append({"part": self._part, "key": key, "params": params})
            log.warning("%s: %s %s", self._part, key, params)

    @contextlib.contextmanager
    def part(self, name: str) -> Iterator[None]:
        self._part = name
        self._found.pop(name, None)
        try:
            with self.guard():
                yield
        finally:
            self._part = "start"

    @contextlib.contextmanager
    def guard(self) -> Iterator[None]:
        """One piece of a part, whose failure leaves the other pieces alone."""
        try:
            yield
        except StationError as error:
            self.problem(error.key, **error.params)
        except Exception as error:  # a bug, too, must not keep the station from collecting
            log.exception("the part %s of the boot step failed", self._part)
            self.problem("boot-step-failed", part=self._part, error=str(error) or repr(error))

    def keys(self) -> list[str]:
        return [entry["key"] for entries in self._found.values() for entry in entries]

    def write(self, system: System, paths: Paths) -> None:
        entries = [entry for found in self._found.values() for entry in found]
        put(system, paths.problems, (json.dumps(entries, ensure_ascii=False, indent=1) + "\n").encode())


def unfinished() -> Report:
    """Stands while the boot step runs, and if it is ended half-way, by whatever."""
    params = {"part": "start", "error": "not finished"}
    return Report({"start": [{"part": "start", "key": "boot-step-failed", "params": params}]})


def earlier(paths: Paths) -> Report:
    """With the problems that the boot step found before, for doing one part anew."""
    found: dict[str, list[dict[str, Any]]] = {}
    try:
        for entry in json.loads(paths.problems.read_bytes()):
            found.setdefault(entry["part"], []).append(entry)
    except (OSError, ValueError, TypeError, KeyError):
        return Report()
    return Report(found)
