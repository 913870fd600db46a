"""The words every room shares: states, frozen records and the protocols between rooms.

Ground floor: imports nothing of the project. A path on a recorder is a `str` made by `os.fsdecode`
(bytes that are not UTF-8 become lone surrogates), relative to the recorder's root, `/` between its
parts; it is stored raw, and shown only through `printable`.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol, runtime_checkable


class ClipState(StrEnum):
    """Where a clip is on its way from the recorder to the centre."""

    SEEN = "seen"  # listed on a recorder, nothing of it is safe yet
    COPYING = "copying"
    STORED = "stored"  # on the station's disk: fsynced, re-read from disk, equal
    UPLOADING = "uploading"
    UPLOADED = "uploaded"  # every target has every byte; none has vouched for all of them yet
    CONFIRMED = "confirmed"  # every target reported size and digest equal to ours
    RELEASED = "released"  # the local copy is gone, the centre keeps it
    MERGED = "merged"  # the same content as another clip of this recorder, which took its name over
    QUARANTINED = "quarantined"  # did not verify
    MISSING = "missing"  # was seen, then gone from the recorder before it was collected
    REJECTED = "rejected"  # the centre refuses it; tried again daily


_S = ClipState
#: The only moves there are. `agent.catalog.door` refuses every other one.
TRANSITIONS: Mapping[ClipState, frozenset[ClipState]] = MappingProxyType(
    {
        _S.SEEN: frozenset({_S.COPYING, _S.MISSING}),
        _S.COPYING: frozenset({_S.SEEN, _S.STORED, _S.MERGED, _S.QUARANTINED}),
        _S.STORED: frozenset({_S.UPLOADING, _S.QUARANTINED}),
        _S.UPLOADING: frozenset({_S.UPLOADED, _S.REJECTED, _S.QUARANTINED}),
        _S.UPLOADED: frozenset({_S.CONFIRMED, _S.UPLOADING, _S.QUARANTINED}),
        _S.CONFIRMED: frozenset({_S.RELEASED, _S.STORED}),
        _S.REJECTED: frozenset({_S.STORED, _S.QUARANTINED}),
        _S.MISSING: frozenset({_S.SEEN}),
        _S.QUARANTINED: frozenset({_S.SEEN, _S.STORED}),
        _S.MERGED: frozenset(),
        _S.RELEASED: frozenset(),
    }
)

#: The station, the centre or both hold a verified copy: the recorder may go.
COLLECTED = frozenset({_S.STORED, _S.UPLOADING, _S.UPLOADED, _S.CONFIRMED, _S.RELEASED, _S.REJECTED})
#: Work for the uploaders.
PENDING_UPLOAD = frozenset({_S.STORED, _S.UPLOADING, _S.UPLOADED})


class DeliveryState(StrEnum):
    """One clip on its way to one target."""

    SENDING = "sending"  # the target's token is saved; bytes may be there
    SENT = "sent"  # the target has taken the last byte
    CONFIRMED = "confirmed"  # the target vouched for size and digest
    REJECTED = "rejected"


class SlotState(StrEnum):
    """What an officer sees of one slot."""

    EMPTY = "empty"
    IDENTIFYING = "identifying"
    LOCKED = "locked"  # nothing can be read before it is unlocked
    COLLECTING = "collecting"
    COLLECTED = "collected"  # every clip is stored: the recorder may be taken
    INCOMPLETE = "incomplete"  # finished, and something could not be collected
    FAILED = "failed"  # nothing could be read at all
    STUCK = "stuck"  # no progress; the port was disconnected
    OUT_OF_USE = "out-of-use"  # by order; nothing is in it, or something that is not looked at


class Doing(StrEnum):
    """What is done with a recorder while its slot is `collecting`."""

    QUEUED = "queued"  # waits until it may copy
    COPYING = "copying"
    VERIFYING = "verifying"  # all is copied; the last of it is read back from the disk
    ERASING = "erasing"  # what is safe is taken off the recorder, or is about to be


class Step(StrEnum):
    """What the slot's tile says: each state, told further by what else is known of the slot."""

    EMPTY = "empty"
    PULLED_EARLY = "pulled-early"  # empty, and what was in it was not done
    IDENTIFYING = "identifying"
    LOCKED = "locked"
    QUEUED = "queued"
    COLLECTING = "collecting"
    VERIFYING = "verifying"
    ERASING = "erasing"
    COLLECTED = "collected"
    CONFIRMED = "confirmed"  # collected, and the centre has every clip
    ERASED = "erased"  # collected, and nothing is on the recorder any more
    INCOMPLETE = "incomplete"
    FAILED = "failed"
    STUCK = "stuck"
    OUT_OF_USE = "out-of-use"


class DeviceKind(StrEnum):
    VOLUME = "volume"  # a block device with a file system
    DISK = "disk"  # a block device without one (yet)
    FOLDER = "folder"  # a recorder of the simulated rack


@dataclass(frozen=True, slots=True)
class Device:
    """What hot-plug reports about one block device (or rack folder). Pure data."""

    node: str  # /dev/sdb1, or the folder's path: unique while it is plugged in
    kind: DeviceKind
    port: str  # the physical socket, e.g. pci-0000:00:14.0-usb-0:3.2
    lun: int = 0
    sysfs: str = ""
    fs_type: str = ""
    fs_uuid: str = ""
    fs_label: str = ""
    vendor_id: str = ""
    product_id: str = ""
    model: str = ""
    serial: str = ""


class Port(Protocol):
    """What the dock lends a driver: one mounted volume of one recorder."""

    path: Path  # the root of the recorder's files, read-only
    #: Folders that this process may not look into and that hold nothing, by whoever may.
    empty: frozenset[str]

    def present(self) -> bool:
        """Whether the recorder is still plugged in, asked anew from the system."""
        ...

    def beat(self) -> None:
        """Says that work goes on; to be called at least once a second of it, in the docking's own thread.
        Raises DeviceGone when the recorder was pulled, Stopping when the agent ends."""
        ...


@runtime_checkable
class Emptied(Protocol):
    """A port whose recorder can be erased from."""

    def erase(self, files: Sequence[tuple[str, int, int]]) -> Sequence[tuple[str, str]]:
        """Remove exactly these files, or none: (path, bytes, mtime in ns) of each, as it was when it was
        listed. Nobody may have anything of the recorder open. What became of each: (path, fate), where
        `erased` is what the recorder itself does not show any more, and `uncertain` may be there again.

        Raises OSError when nothing was touched, DeviceGone, Stopping."""
        ...


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a recorder is, by vote among all that names it. `recorder` is never empty:
    an unknown one is called after its file system and is not `assigned`."""

    recorder: str
    assigned: bool
    fs_id: str  # tells one card from another; with the path it names a file
    officer: str = ""
    votes: tuple[tuple[str, str], ...] = ()  # (source, recorder), e.g. ("label", "8888888")
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class SourceClip:
    """One file on a recorder, as listed."""

    path: str
    size: int  # bytes
    mtime_ns: int  # since the epoch; FAT's local time is read as UTC
    kind: str = "other"  # video, audio, photo, sidecar, other
    important: bool = False
    officer: str = ""
    sequence: int | None = None
    recorded_at: datetime | None = None  # the recorder's local time, naive
    time_source: str = "none"  # name, mtime, none
    name_parsed: bool = False


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something on a recorder that is not a file to collect, and why (a problem key)."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What ingest knows of a clip's bytes. Parts are hashed once on the way in, once again on disk."""

    size: int
    part_size: int
    parts: tuple[bytes, ...]  # SHA-256 of each part; the last one may be short; none for an empty file
    sha256: str  # hex, the whole file
    sm3: str = ""  # hex, when asked for
    unreadable: tuple[tuple[int, int], ...] = ()  # (offset, length): zeros in the copy

    @property
    def digests(self) -> frozenset[str]:
        """What a target may call these bytes, in hex: their SHA-256, or, for an object that was made of N
        parts, the SHA-256 over the digests of the parts, with `-N` behind it."""
        composite = hashlib.sha256(b"".join(self.parts)).hexdigest()
        return frozenset({self.sha256, f"{composite}-{len(self.parts)}"})


@dataclass(frozen=True, slots=True)
class Lock:
    """How long an object at the centre can be neither deleted nor altered."""

    until: float = 0.0  # seconds since the epoch; 0: not at all
    hold: bool = False  # until somebody lifts it

    def covers(self, other: "Lock") -> bool:
        """Whether it keeps at least as long as `other`. Servers keep whole seconds."""
        return self.until > other.until - 1 and self.hold >= other.hold


@dataclass(frozen=True, slots=True)
class StoredClip:
    """A clip as the uploaders see it."""

    id: int
    key: str  # its name in the store and at the centre, POSIX path without leading slash
    manifest: Manifest
    document: Mapping[str, Any]  # the sidecar, to be laid beside the clip
    lock: Lock = Lock()  # what a target that can lock is to keep it under


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a target itself reported about its bytes. Never built from our own figures."""

    location: str
    size: int
    sha256: str  # one of its manifest's `digests`, when all is well
    at: float  # seconds since the epoch
    place: str = ""  # which store said so: the same name may stand for another one tomorrow
    lock: Lock = Lock()  # of the clip and its manifest, whichever is shorter


@dataclass(frozen=True, slots=True)
class Problem:
    """A stable key with parameters; `agent.words` makes the sentence."""

    key: str
    params: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Condition:
    """Whether a recorder can go on duty again, as far as its driver can tell. None: it cannot."""

    battery: int | None = None  # percent
    free: int | None = None  # bytes
    total: int | None = None  # bytes
    clock_off: float | None = None  # seconds that its clock is ahead of the station's


@dataclass(frozen=True, slots=True)
class Pulled:
    """A recorder that was pulled before it was done."""

    recorder: str
    officer: str
    files: int | None  # that were not collected; None: it was not looked through yet
    at: float  # seconds since the epoch


@dataclass(frozen=True, slots=True)
class SlotStatus:
    """A slot as shown. Replaced as a whole at every change, never edited."""

    slot: str
    state: SlotState = SlotState.EMPTY
    doing: Doing | None = None  # only while it is collecting
    recorder: str = ""
    officer: str = ""
    files_done: int = 0
    files_total: int = 0
    bytes_done: int = 0
    bytes_total: int = 0
    bytes_per_second: float = 0.0
    problems: tuple[Problem, ...] = ()
    since: float = 0.0  # seconds since the epoch
    received: float | None = None  # when every file was listed, and committed as seen
    collected: float | None = None  # when it came into that state
    docking: int = 0  # its number in the catalog, that of the volume which was looked at last; 0: none yet
    clips: tuple[int, ...] = ()  # what lies on it, as clips of the catalog
    erased: int = 0  # files that were taken off it in this docking
    emptied: bool = False  # they were all that it had
    condition: Condition = Condition()
    pulled: Pulled | None = None  # only while it is empty
    out_of_use: float | None = (
        None  # since when, also while it finishes what is in it; seconds since the epoch
    )

    @property
    def eta_seconds(self) -> float | None:
        """Seconds left at today's speed; None while that is unknown."""
        if self.state != SlotState.COLLECTING or self.bytes_per_second <= 0:
            return None
        return max(0, self.bytes_total - self.bytes_done) / self.bytes_per_second


class Reporter(Protocol):
    """How a docking tells its slot what it does. Every call also counts as a heartbeat."""

    def identified(self, identity: Identity) -> None: ...
    def listed(self, files: int, size: int) -> None: ...
    def advanced(self, size: int) -> None:
        """`size` more bytes of the recorder are read; negative when a copy starts over."""
        ...

    def finished(self, files: int) -> None: ...
    def docked(self, docking: int) -> None:
        """The docking's number in the catalog."""
        ...

    def seen(self, clips: Collection[int], every: bool) -> None:
        """What lies on the recorder is committed as seen. `every`: it has no file beside these clips."""
        ...

    def doing(self, what: Doing) -> None: ...
    def erased(self, files: int, all: bool) -> None:
        """`all`: the recorder has no file any more."""
        ...

    def condition(self, condition: Condition) -> None: ...
    def problem(self, key: str, **params: Any) -> None: ...
    def check(self) -> None:
        """Heartbeat. Raises DeviceGone when the recorder was pulled, Stopping when the agent ends."""
        ...


def part_size_for(size: int) -> int:
    """The part size of a file of `size` bytes: chosen once, kept in its manifest."""
    return 8 << 20 if size <= 64 << 30 else 64 << 20


def printable(name: str) -> str:
    """`name` for screens and logs: control, direction and undecodable characters become escapes."""
    if name.isprintable():
        return name

    def shown(ch: str) -> str:
        if unicodedata.category(ch) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"):
            return ch.encode("unicode_escape").decode("ascii")
        return ch

    return "".join(map(shown, name))


def folder_of(recorder: str) -> str:
    """The folder of its clips, in the store and at the centre. The driver made the number safe for this; dots
    stay, or two recorders could meet in one folder."""
    return re.sub(r"[^A-Za-z0-9._-]|^[.-]", "_", recorder)[:64]


def plain(text: str, longest: int = 80) -> str:
    """A part of a clip's name there: only what every file system and every object store takes."""
    return (re.sub(r"[^A-Za-z0-9_-]+|^-+", "_", text) or "_")[:longest]


def raw(name: str) -> bytes:
    return os.fsencode(name)


def spans(size: int, step: int, first: int = 0) -> Iterator[tuple[int, int]]:
    """(offset, length) of each part of a file, from part `first` on."""
    return ((at, min(step, size - at)) for at in range(first * step, size, step))
