"""A bucket with object lock as a storm's centre: every version of what lies there is looked at, and under
what it is locked, by what the server's filer keeps of it."""

import base64
import time
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import requests
from requests import Response

from tests.crash.centres import S3Centre
from tests.servers.weed import LOCKED

_VERSIONS = ".versions"
_DAY = 86400.0
#: From now on, of a clip without importance: 183 days from its docking, or from a recording of that week.
_PERIOD = (175 * _DAY, 184 * _DAY)


class LockedCentre(S3Centre):
    requests: Sequence[tuple[str, str]] = (*S3Centre.requests, ("GET", r"\?object-lock="))
    bucket = LOCKED
    #: Periods are counted by a trusted clock alone, and whose clock is that, where tests run?
    patch = "from agent import clock\nclock.synchronised = lambda: True\n"

    def object(self, key: str) -> bytes | None:
        folder = f"clips/{key}{_VERSIONS}"
        told = self._ask(folder, metadata="true")
        if told is None:
            return None
        latest = _extended(told.json(), "Latest-Version-File-Name")
        answer = self._ask(f"{folder}/{latest}")
        return None if answer is None else answer.content

    def faults(self) -> Iterator[str]:
        """A clip has one version: the server compares what arrives, so none was ever to be replaced."""
        for folder in self._folders("clips"):
            key = folder.removesuffix(_VERSIONS)
            versions = self._entries(folder)
            if not key.endswith(".json") and len(versions) != 1:
                yield f"{key} has {len(versions)} versions"
            for version in versions:
                if not _extended(version, "Noncurrent-Since-Ns") and (wrong := _not_as_it_must(key, version)):
                    yield f"{key} is locked otherwise: {wrong}"

    def _folders(self, folder: str) -> Iterator[str]:
        for entry in self._entries(folder):
            path = f"{folder}/{PurePosixPath(entry['FullPath']).name}"
            if path.endswith(_VERSIONS):
                yield path
            else:
                yield from self._folders(path)

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        answer = self._ask(f"{folder}/", limit="100000")
        return [] if answer is None else answer.json()["Entries"] or []

    def _ask(self, path: str, **asked: str) -> Response | None:
        url, headers = self._weed.object(quote(path), LOCKED), {"Accept": "application/json"}
        answer = requests.get(url, params=asked, headers=headers, timeout=60)
        assert answer.status_code in (200, 404), answer
        return answer if answer.status_code == 200 else None


def _not_as_it_must(key: str, version: dict[str, Any]) -> str:
    """Under what it is locked when that is wrong; a recorder says by a name that a clip is important."""
    mode, until = (_extended(version, name) for name in ("Object-Lock-Mode", "Retention-Until-Date"))
    held = _extended(version, "Legal-Hold") == "ON"
    least, most = _PERIOD
    fine = (
        held
        if "IMP" in key
        else not held and mode == "GOVERNANCE" and least < float(until) - time.time() < most
    )
    return "" if fine else f"mode {mode!r}, until {until!r}, held {held}"


def _extended(entry: dict[str, Any], name: str) -> str:
    return base64.b64decode((entry["Extended"] or {}).get(f"Seaweed-X-Amz-{name}", "")).decode()
