"""Tries everything that a target needs to be able to do, with small clips of its own, and tells what fails.

What it lays there stays: a station deletes nothing at the centre. The key says what it is.
"""

import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from agent.errors import NotEqual, Rejected, Retry, StationError, Stop
from agent.model import Lock, Manifest, Problem, StoredClip, spans
from agent.upload.targets.base import LocalReader, Target
from agent.upload.targets.documents import Documents

PART = 5 << 20  # bytes: the smallest part that every server takes
_FOLDER = "recorder-station-check"
_CLOCKS = 60.0  # seconds by which two clocks may differ; S3 servers refuse 900
_NEVER = 100 * 365 * 86400.0  # seconds: no transfer is as old as that


@dataclass(frozen=True, slots=True)
class Tried:
    """`step` has its sentence in the section `check` of the words; `problem` in `problems`."""

    step: str
    problem: Problem | None = None


class _Bytes(LocalReader):
    def __init__(self, data: bytes) -> None:
        self._data = data

    def pread(self, length: int, offset: int) -> bytes:
        return self._data[offset : offset + length]


class _Altered(_Bytes):
    """As read first it is right, and altered from then on: to who compares before he sends, what alters the
    bytes on their way."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._read = False
        self.again = False  # it was read once more

    def pread(self, length: int, offset: int) -> bytes:
        data = super().pread(length, offset)
        self.again, self._read = self._read, True
        return bytes(len(data)) if self.again else data


def check(make: Callable[[str], Target]) -> Iterator[Tried]:
    """`make` gives the target anew, as after a restart of a station that knows its place; of an empty one, as
    at first contact. What a later step needs, an earlier one has shown: after the first that fails only those
    that stand alone are tried."""
    target = make("")
    who = _tried("who", lambda: target.place())
    yield who
    if who.problem is not None:
        return
    place = target.place()
    yield _tried("clock", lambda: _same_time(target))
    small, large = os.urandom(1000), os.urandom(PART + 1000)
    folder = f"{_FOLDER}/{time.strftime('%Y-%m-%d', time.gmtime())}/{uuid.uuid4().hex}"
    one, two = _clip(f"{folder}/small.bin", small), _clip(f"{folder}/large.bin", large)
    yield _tried("small", lambda: _deliver(target, one, small))
    yield _tried("parts", lambda: _in_two_goes(lambda: make(place), two, large))
    yield _tried("damage", lambda: _damaged(target, _clip(f"{folder}/damaged.bin", small), small))
    yield _tried("replace", lambda: _replaced(target, f"{folder}/once.bin", small))
    yield _tried("abort", lambda: _forgotten(target, _clip(f"{folder}/aborted.bin", large), large))
    yield _tried("sweep", lambda: target.sweep((), _NEVER))
    if isinstance(target, Documents):
        yield _tried("tell", lambda: _told(target, f"{folder}/status.json", small))
    if target.locking:
        yield _tried("lock", lambda: _locked(target, _clip(f"{folder}/locked.bin", small), small))


def _tried(step: str, what: Callable[[], object]) -> Tried:
    try:
        what()
    except StationError as error:
        return Tried(step, Problem(error.key, error.params))
    return Tried(step)


def _deliver(target: Target, clip: StoredClip, data: bytes) -> str:
    token = _send(target, clip, target.begin(clip), _Bytes(data))
    _vouched(target, clip, token)
    return token


def _send(target: Target, clip: StoredClip, token: str, reader: _Bytes) -> str:
    for offset, length in spans(clip.manifest.size, clip.manifest.part_size):
        token = target.send(clip, token, reader, offset, length)
    target.finish(clip, token)
    return token


def _in_two_goes(make: Callable[[], Target], clip: StoredClip, data: bytes) -> None:
    first = make()
    token = first.send(clip, first.begin(clip), _Bytes(data), 0, PART)
    target = make()
    position = target.position(clip, token)
    if position != PART:
        raise Stop("target-does-not-resume", sent=PART, position=position)
    token = target.send(clip, token, _Bytes(data), PART, len(data) - PART)
    target.finish(clip, token)
    _vouched(target, clip, token)


def _vouched(target: Target, clip: StoredClip, token: str) -> None:
    for read_back in (False, True):
        receipt = target.verify(clip, token, read_back=read_back)
        if receipt.size != clip.manifest.size or receipt.sha256 not in clip.manifest.digests:
            raise Stop("target-vouches-for-other", read_back=read_back)
    if not target.holds(clip, token):
        raise Retry("not-there", what="clip")


def _damaged(target: Target, clip: StoredClip, data: bytes) -> None:
    """Refused; or, where nobody compares what arrives, found when it is read back, and sent anew."""
    _refused(target, clip)
    reader, token = _Altered(data), target.begin(clip)
    try:
        token = _send(target, clip, token, reader)
    except Retry as error:
        if error.key != "target-damaged":
            raise
        return target.abort(clip, token)
    if reader.again and target.verify(clip, token).sha256 in clip.manifest.digests:
        raise Stop("target-takes-damage")
    if reader.again:
        token = _send(target, clip, target.begin(clip, anew=True), _Bytes(data))
    return _vouched(target, clip, token)


def _refused(target: Target, clip: StoredClip) -> None:
    token = target.begin(clip)
    try:
        target.send(clip, token, _Bytes(bytes(clip.manifest.size)), 0, clip.manifest.size)
    except NotEqual:
        return target.abort(clip, token)
    except Retry as error:
        if error.key != "target-damaged":
            raise
        return target.abort(clip, token)
    raise Stop("target-takes-damage")


def _replaced(target: Target, key: str, data: bytes) -> None:
    """Another clip of the same name is refused, or lies beside it."""
    clip, other = _clip(key, data), _clip(key, data[::-1])
    token = _deliver(target, clip, data)
    try:
        _deliver(target, other, data[::-1])
    except Rejected as error:
        if error.key != "target-conflict":
            raise
    try:
        kept = target.verify(clip, token, read_back=True).sha256 in clip.manifest.digests
    except Retry as error:
        if error.key != "not-there":
            raise
        kept = False
    if not kept:
        raise Stop("target-replaces")


def _same_time(target: Target) -> None:
    ahead = time.time() - target.now()
    if abs(ahead) > _CLOCKS:
        raise Stop("target-clock-differs", seconds=abs(ahead))


def _forgotten(target: Target, clip: StoredClip, data: bytes) -> None:
    token = target.send(clip, target.begin(clip), _Bytes(data), 0, PART)
    target.abort(clip, token)
    try:
        left = target.position(clip, token)
    except Retry as error:
        if error.key == "token-lost":
            return
        raise
    if left:
        raise Stop("target-keeps-aborted", position=left)


def _locked(target: Target, clip: StoredClip, data: bytes) -> None:
    """For two days; first from its first moment on, then extended."""
    began = time.time()
    for days in (1, 2):
        clip = replace(clip, lock=Lock(until=began + days * 86400.0))
        token = _deliver(target, clip, data)
        if not target.protect(clip, token).covers(clip.lock):
            raise Stop("target-no-lock")


def _told(target: Documents, path: str, data: bytes) -> None:
    """What a station tells about itself is replaced every few minutes, and its log never."""
    for said in (data, data[::-1]):
        target.lay(path, said, replace=True)
        if target.lay(path, data, replace=False):
            raise Stop("target-replaces")
        if target.fetch(path) != said:
            raise Stop("target-forgets")


def _clip(key: str, data: bytes) -> StoredClip:
    parts = tuple(hashlib.sha256(data[at : at + length]).digest() for at, length in spans(len(data), PART))
    manifest = Manifest(len(data), PART, parts, hashlib.sha256(data).hexdigest())
    return StoredClip(0, key, manifest, {"format": 1, "check": True})
