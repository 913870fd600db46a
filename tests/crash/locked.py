"""A bucket with object lock as a storm's centre: every version of what lies there is looked at, and under
what it is locked, by what the server's filer keeps of it."""

import base64
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import requests
from requests import Response

from tests.crash.centres import TRUSTED_CLOCK, S3Centre
from tests.servers.weed import LOCKED

_VERSIONS = ".versions"
_FOLDER = 1 << 31  # in a mode, as Go's library tells them
_DAY = 86400.0
#: From now on, of a clip without importance: 183 days from its docking, or from a recording of that week.
_PERIOD = (175 * _DAY, 184 * _DAY)


class LockedCentre(S3Centre):
    requests: Sequence[tuple[str, str]] = (*S3Centre.requests, ("GET", r"\?object-lock="))
    bucket = LOCKED
    patch = TRUSTED_CLOCK  # periods are counted by no other

    def object(self, key: str) -> bytes | None:
        folder = f"clips/{key}{_VERSIONS}"
        told = self._ask(folder, metadata="true")
        if told is None:
            return None
        latest = _extended(told.json(), "Latest-Version-File-Name")
        answer = self._ask(f"{folder}/{latest}")
        return None if answer is None else answer.content

    def faults(self) -> Iterator[str]:
        """A clip whose bytes were read back as others was sent again, so it may have several versions: the
        server compares what arrives, so all are the clip. Of a manifest only the latest has to tell all."""
        for folder in self._ends("clips"):
            if not folder.endswith(_VERSIONS):
                yield f"{folder} can be deleted: it has no versions"
                continue
            key = folder.removesuffix(_VERSIONS)
            versions = self._entries(folder)
            if key.endswith(".json"):
                versions = [one for one in versions if not _extended(one, "Noncurrent-Since-Ns")]
            elif len({self._digest(folder, one) for one in versions}) != 1:
                yield f"the versions of {key} differ"
            for wrong in filter(None, (_not_as_it_must(key, one) for one in versions)):
                yield f"{key} is locked otherwise: {wrong}"

    def _digest(self, folder: str, version: Mapping[str, Any]) -> str:
        answer = self._ask(f"{folder}/{PurePosixPath(version['FullPath']).name}")
        return hashlib.sha256(answer.content).hexdigest() if answer is not None else "gone"

    def _ends(self, folder: str) -> Iterator[str]:
        """The folder of each key's versions, and whatever else is no folder."""
        for entry in self._entries(folder):
            path = f"{folder}/{PurePosixPath(entry['FullPath']).name}"
            if entry["Mode"] & _FOLDER and not path.endswith(_VERSIONS):
                yield from self._ends(path)
            else:
                yield path

    def _entries(self, folder: str) -> list[dict[str, Any]]:
        answer = self._ask(f"{folder}/", limit="100000")
        return [] if answer is None else answer.json()["Entries"] or []

    def _ask(self, path: str, **asked: str) -> Response | None:
        url, headers = self._weed.object(quote(path), LOCKED), {"Accept": "application/json"}
        answer = requests.get(url, params=asked, headers=headers, timeout=60)
        assert answer.status_code in (200, 404), answer
        return answer if answer.status_code == 200 else None


def _not_as_it_must(key: str, version: Mapping[str, Any]) -> str:
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


def _extended(entry: Mapping[str, Any], name: str) -> str:
    return base64.b64decode((entry["Extended"] or {}).get(f"Seaweed-X-Amz-{name}", "")).decode()
