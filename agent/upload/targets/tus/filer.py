"""The filer of SeaweedFS: a finished upload lies there under the name at which it was created.

What is not of the protocol is SeaweedFS's own: that `/.tus/a/b` becomes `/a/b`, how a folder is listed, and
that uploads under way lie in `/.uploads.tus`, each with a note of where it goes.
"""

import base64
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote, urlencode

from agent.errors import Transient
from agent.upload.targets import mark
from agent.upload.targets.http import Part
from agent.upload.targets.tus.protocol import Server

_TUS, _UNDER_WAY = "/.tus", "/.uploads.tus"
_NOTE = ".info"  # not all that lies beside what came of an upload: one that became whole may have another
_PAGE = 1000
_FOLDER = 1 << 31  # in a mode, as Go writes it
_NAME = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)


def is_one(path: str) -> bool:
    """Whether uploads that are created at `path` lie under names of our choice afterwards."""
    return f"{_TUS}/" in f"{path}/"


@dataclass(frozen=True, slots=True)
class Begun:
    """An upload under way; `at` in seconds since the epoch, by the server's clock."""

    upload: str
    at: float


class Filer:
    def __init__(self, server: Server) -> None:
        self._server = server
        # What stands before `/.tus` is of a server in front of it.
        self._before, _, below = f"{server.root}/".partition(f"{_TUS}/")
        self._folder = f"/{below}"

    def path(self, key: str) -> str:
        """Where `key` lies."""
        return f"{self._before}{self._folder}{quote(key, safe='/-_.~')}"

    def creates(self, key: str) -> str:
        """Where an upload of `key` is created."""
        return f"{self._server.root}/{quote(key, safe='/-_.~')}"

    def get(self, key: str) -> bytes | None:
        """A small object, whole."""
        answer = self._server.get(self.path(key))
        return None if answer is None else answer.body

    def put(self, key: str, body: bytes, digest: bytes, headers: Mapping[str, str]) -> bool:
        """Write a small object, over whatever lies there: it has no way to say "only if there is none"."""
        return self.write(key, body)

    def write(self, key: str, body: bytes | Part) -> bool:
        upload = self._server.create(self.creates(key), len(body), {}, key)
        return self._server.send(upload, 0, body, "", key)

    def empty(self) -> bool:
        page, _ = self._page(self.path(""), {"limit": "2"})
        return all(entry.get("FullPath") == unquote(self._folder) + mark.KEY for entry in page)

    def names(self, key: str, after: str = "") -> Iterator[tuple[str, bool]]:
        """(name, whether it is a folder) of what lies in the folder `key` behind `after`, as it is read."""
        first = True
        while True:
            asked = {"limit": str(_PAGE), **({"lastFileName": after} if after else {})}
            page, _ = self._page(f"{self.path(key)}/", asked)
            names = [str(entry.get("FullPath", "")).rpartition("/")[2] for entry in page]
            yield from ((name, _is_folder(entry)) for name, entry in zip(names, page, strict=True))
            if len(page) < _PAGE or (not first and names[-1] <= after):
                return
            first, after = False, names[-1]

    def uploads(self) -> tuple[list[Begun], float]:
        """Every upload under way that is to lie below our root; the server's time."""
        found, now, after = list[Begun](), 0.0, ""
        while True:
            asked = {"limit": str(_PAGE), **({"lastFileName": after} if after else {})}
            page, now = self._page(f"{self._before}{_UNDER_WAY}/", asked)
            names = [str(entry.get("FullPath", "")).rpartition("/")[2] for entry in page]
            found += self._ours(names)
            if len(page) < _PAGE or names[-1] <= after:
                return found, now
            after = names[-1]

    def _ours(self, names: list[str]) -> Iterator[Begun]:
        for name in filter(_NAME.fullmatch, names):
            notes, _ = self._page(f"{self._before}{_UNDER_WAY}/{name}/", {"namePattern": _NOTE})
            note = _note(notes)
            if str(note.get("target_path", "")).startswith(unquote(self._folder)):
                yield Begun(f"{self._before}{_TUS}/.uploads/{name}", _seconds(note.get("created_at")))

    def _page(self, path: str, asked: Mapping[str, str]) -> tuple[list[dict[str, Any]], float]:
        """(entries of a folder, the server's time); none of one that is not there."""
        answer = self._server.get(f"{path}?{urlencode(asked)}", {"Accept": "application/json"})
        if answer is None:
            return [], 0.0
        try:
            entries = json.loads(answer.body)["Entries"] or []
            if not all(isinstance(entry, dict) for entry in entries):
                raise TypeError
            return entries, parsedate_to_datetime(answer.headers.get("Date", "")).timestamp()
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Transient("target-answer", why="no list") from error


def _is_folder(entry: Mapping[str, Any]) -> bool:
    return bool(int(entry.get("Mode") or 0) & _FOLDER)


def _note(entries: list[dict[str, Any]]) -> dict[str, Any]:
    """What the server noted of an upload when it was begun; empty when it has none."""
    for entry in entries:
        if str(entry.get("FullPath", "")).endswith(f"/{_NOTE}"):
            try:
                note = json.loads(base64.b64decode(str(entry.get("Content", ""))))
            except (ValueError, RecursionError):
                break
            return note if isinstance(note, dict) else {}
    return {}


def _seconds(said: object) -> float:
    try:
        return datetime.fromisoformat(str(said)).timestamp()
    except (ValueError, OverflowError) as error:
        raise Transient("target-answer", why="no time") from error
