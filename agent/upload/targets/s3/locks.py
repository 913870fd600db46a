"""Keeps objects of a bucket under object lock, where the bucket can."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from agent.errors import AuthFailed
from agent.model import Lock
from agent.upload.targets.s3 import lock
from agent.upload.targets.s3.bucket import Bucket
from agent.upload.targets.s3.lock import Mode

_ASK_AGAIN = 3600.0  # seconds after which a bucket that could not lock may have learned it


class Locks:
    """`mode`: None when nothing is to be locked, whatever the bucket can."""

    def __init__(self, bucket: Bucket, mode: Mode | None) -> None:
        self._bucket = bucket
        self._mode = mode
        self._can = False
        self._ask_at = 0.0

    @contextmanager
    def asked_for(self, wanted: Lock) -> Iterator[dict[str, str]]:
        """The headers that lock what is being made. Raises AuthFailed `target-lock-refused` when our keys may
        write here, perhaps, and not under a lock."""
        mode = self._mode_here()
        headers = lock.headers(wanted, mode) if mode else {}
        try:
            yield headers
        except AuthFailed as error:
            if headers and error.params.get("error") == "AccessDenied":
                raise AuthFailed("target-lock-refused", error="AccessDenied") from error
            raise

    def matters(self, wanted: Lock) -> bool:
        """Whether it is of any interest under what something is kept that is `wanted` to be locked so."""
        return self._mode is not None and wanted != Lock()

    def told(self, *answers: Mapping[str, str]) -> Lock:
        """What all of these objects are kept under, by what their headers say."""
        if self._mode is None:
            return Lock()
        return _least([lock.told(answer, self._mode) for answer in answers])

    def extend(self, keys: Sequence[str], wanted: Lock) -> Lock:
        """Keep objects that are there under `wanted` at least; what the server then says of all of them."""
        mode = self._mode_here()
        if mode is None:
            return Lock()
        for key in keys:
            head = self._headers(key)
            if not (kept := self.told(head)).covers(wanted):
                self._extend(key, kept, wanted, lock.stronger(head, mode))
        kept = self.told(*map(self._headers, keys))
        if not kept.covers(wanted):
            raise AuthFailed("target-lock-refused", error="not shown")
        return kept

    def _extend(self, key: str, kept: Lock, wanted: Lock, mode: Mode) -> None:
        with self.asked_for(wanted):
            if wanted.until > kept.until:
                self._bucket.change(key, "retention", lock.retention(wanted.until, mode))
            if wanted.hold and not kept.hold:
                self._bucket.change(key, "legal-hold", lock.legal_hold())

    def _headers(self, key: str) -> Mapping[str, str]:
        head = self._bucket.head(key)
        return head.headers if head else {}

    def _mode_here(self) -> Mode | None:
        if self._mode and not self._can and time.monotonic() >= self._ask_at:
            self._can = any(self._bucket.locks() for _ in range(2))  # "no" is not believed for one odd answer
            self._ask_at = time.monotonic() + _ASK_AGAIN
        return self._mode if self._can else None


def _least(locks: Sequence[Lock]) -> Lock:
    return Lock(min(one.until for one in locks), all(one.hold for one in locks))
