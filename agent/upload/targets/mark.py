"""The mark by which a store says which one it is.

Made at first contact, in a store that is empty, and only where there is none: of two stations that come
at the same time one makes it. A station that was in touch before never makes it again. What lies alone in a
store under the mark's name, and is none, is one that was damaged on its way there: it is made again.
"""

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Mapping
from typing import Protocol

from agent.errors import Transient

KEY = ".recorder-station-target"
_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)  # it is shown, and kept with each receipt


class Store(Protocol):
    """Where the mark lies, under its name."""

    def get(self, key: str) -> bytes | None: ...
    def put(self, key: str, body: bytes, digest: bytes, headers: Mapping[str, str]) -> bool: ...
    def empty(self) -> bool:
        """Whether nothing lies there, but for what `put` would replace of a mark."""
        ...


class Mark:
    def __init__(self, store: Store, address: str, *, may_make: bool) -> None:
        self._store = store
        self._address = address
        self._may_make = may_make
        self._lock = threading.Lock()  # our own uploaders need not get in each other's way

    def ask(self) -> str:
        """The store's id, now. Never from memory: another server may answer at the same address by now."""
        body = self._store.get(KEY)
        if read(body) is None:
            with self._lock:
                body = self._store.get(KEY)  # not by one answer: it may be damaged on its way back
                if read(body) is None:
                    body = self._make(body)
        if (place := read(body)) is None:
            raise Transient("target-mark-damaged", path=f"{self._address}/{KEY}")
        self._may_make = False
        return place

    def _make(self, damaged: bytes | None) -> bytes | None:
        if not self._may_make or not self._store.empty():
            if damaged is not None:
                return damaged
            raise Transient("target-not-empty" if self._may_make else "target-no-mark", path=self._address)
        body = new()
        self._store.put(KEY, body, hashlib.sha256(body).digest(), {"Content-Type": "application/json"})
        return self._store.get(KEY)  # ours, or that of a station that was quicker


def new() -> bytes:
    """The text of a mark that nobody else has."""
    return json.dumps({"format": 1, "id": str(uuid.uuid4())}).encode()


def read(body: bytes | None) -> str | None:
    """The id that a mark tells; None of what is no mark."""
    try:
        said = json.loads(body or b"")
    except (ValueError, RecursionError):
        return None
    place = said.get("id") if isinstance(said, dict) else None
    return place if isinstance(place, str) and _ID.fullmatch(place) else None
