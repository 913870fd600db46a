"""The mark by which a bucket says which store it is.

Made at first contact, in a bucket that is empty, and only where there is none: of two stations that come
at the same time one makes it. A station that was in touch before never makes it again.
"""

import hashlib
import json
import threading
import time
import uuid

from agent.errors import Transient
from agent.upload.targets.s3.bucket import Bucket

KEY = ".recorder-station-target"
_FRESH = 60.0  # seconds for which an answer counts; after an error it is asked anew


class Mark:
    def __init__(self, bucket: Bucket, address: str, *, may_make: bool) -> None:
        self._bucket = bucket
        self._address = address
        self._may_make = may_make
        self._lock = threading.Lock()
        self._known, self._asked = "", 0.0  # monotonic

    def known(self) -> str:
        """As `ask`, with an answer of the last minute."""
        with self._lock:
            if self._known and time.monotonic() < self._asked + _FRESH:
                return self._known
        return self.ask()

    def ask(self) -> str:
        """The store's id, now."""
        with self._lock:
            self._known = ""
            asked = time.monotonic()
            body = self._bucket.get(KEY)
            if body is None:
                self._make()
                body = self._bucket.get(KEY)
            self._known = self._id(body)
            self._asked = asked
            self._may_make = False
            return self._known

    def _id(self, body: bytes | None) -> str:
        try:
            said = json.loads(body or b"")
        except (ValueError, RecursionError):
            said = None
        place = said.get("id") if isinstance(said, dict) else None
        if not isinstance(place, str) or not place:
            raise Transient("target-mark-damaged", path=f"{self._address}/{KEY}")
        return place

    def _make(self) -> None:
        if not self._may_make:
            raise Transient("target-no-mark", path=self._address)
        if not self._bucket.empty():
            raise Transient("target-not-empty", path=self._address)
        body = json.dumps({"format": 1, "id": str(uuid.uuid4())}).encode()
        self._bucket.put(KEY, body, hashlib.sha256(body).digest(), {"Content-Type": "application/json"})
