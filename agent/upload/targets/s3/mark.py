"""The mark by which a bucket says which store it is.

Made at first contact, in a bucket that is empty, and only where there is none: of two stations that come
at the same time one makes it. A station that was in touch before never makes it again.
"""

import hashlib
import json
import re
import threading
import uuid

from agent.errors import Transient
from agent.upload.targets.s3.bucket import Bucket

KEY = ".recorder-station-target"
_ID = re.compile(r"[0-9A-Za-z-]{1,64}", re.ASCII)  # it is shown, and kept with each receipt


class Mark:
    def __init__(self, bucket: Bucket, address: str, *, may_make: bool) -> None:
        self._bucket = bucket
        self._address = address
        self._may_make = may_make
        self._lock = threading.Lock()  # our own uploaders need not get in each other's way

    def ask(self) -> str:
        """The store's id, now. Never from memory: another server may answer at the same address by now."""
        body = self._bucket.get(KEY)
        if body is None:
            with self._lock:
                body = self._bucket.get(KEY) or self._make()
        place = self._id(body)
        self._may_make = False
        return place

    def _id(self, body: bytes | None) -> str:
        try:
            said = json.loads(body or b"")
        except (ValueError, RecursionError):
            said = None
        place = said.get("id") if isinstance(said, dict) else None
        if not isinstance(place, str) or not _ID.fullmatch(place):
            raise Transient("target-mark-damaged", path=f"{self._address}/{KEY}")
        return place

    def _make(self) -> bytes | None:
        if not self._may_make:
            raise Transient("target-no-mark", path=self._address)
        if not self._bucket.empty():
            raise Transient("target-not-empty", path=self._address)
        body = json.dumps({"format": 1, "id": str(uuid.uuid4())}).encode()
        self._bucket.put(KEY, body, hashlib.sha256(body).digest(), {"Content-Type": "application/json"})
        return self._bucket.get(KEY)  # ours, or that of a station that was quicker
