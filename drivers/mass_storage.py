"""Recorders that are a plain disk: one mounted volume, read as files."""

import functools
import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

from agent.errors import DeviceGone, Reject, Unsupported
from agent.model import Condition, Device, DeviceKind, Emptied, Identity, Port, Skipped, SourceClip
from drivers import identity, walk
from drivers.base import Reader
from drivers.layout import Layout, shows_locks
from drivers.profile import IdentityFile, Rules, rules
from drivers.room import Portion
from drivers.tree import Tree

READABLE = frozenset({"vfat", "exfat", "ntfs", "ext2", "ext3", "ext4"})
_MORE_LISTINGS = 2  # when a command failed during one
_HEAD = 4096  # bytes of an identity file that are looked at
_IDENTITY_FILES = 4  # of them, at most


class MassStorage:
    name: ClassVar[str] = "mass-storage"

    def match(self, device: Device) -> int | None:
        return 10 if device.kind == DeviceKind.VOLUME and device.fs_type in READABLE else None

    def open(self, device: Device, port: Port) -> "VolumeSession":
        return VolumeSession(device, port)


class VolumeSession:
    """One folder tree as a recorder. It is listed once, when first asked; a clip that is recorded later
    is found at the next docking. Holds descriptors until `close`: nothing can be unmounted before."""

    def __init__(self, device: Device, port: Port, own_files: frozenset[str] = frozenset()) -> None:
        """`own_files`: paths that belong to the station (a simulated recorder's description), not to the
        recorder. Raises DeviceGone, Unsupported (`unreadable-folder`)."""
        self._device = device
        self._port = port
        self._own_files = own_files
        self._rules = rules()
        self._listed: list[SourceClip] | None = None
        self._skipped: list[Skipped] = []
        self._tally = identity.Tally()
        self._portion = Portion()
        self._tree = Tree(port)

    def identity(self) -> Identity:
        clips = self._list()
        fs_id = identity.file_system_id(self._device, self._tree.root)
        told = self._identity_files(clips)
        return identity.decide(self._device, fs_id, self._tally, told, self._rules)

    def clips(self) -> Iterator[SourceClip]:
        yield from self._list()
        # Asked again, late: who takes the listing for whole believes that what is not in it is missing.
        if not self._port.present():
            raise DeviceGone

    def skipped(self) -> list[Skipped]:
        return list(self._skipped)

    def open(self, clip: SourceClip) -> Reader:
        return self._tree.open(clip.path)

    def erase(self, files: Sequence[tuple[str, int, int]]) -> Sequence[tuple[str, str]]:
        if not isinstance(self._port, Emptied):
            raise Unsupported("unsupported")
        self._tree.close()  # nothing can be mounted anew while it is open
        try:
            return self._port.erase(files)
        finally:
            self._listed = None
            self._tree = Tree(self._port)

    def condition(self) -> Condition:
        """A disk knows nothing but its room."""
        figures = os.fstatvfs(self._tree.root)
        return Condition(free=figures.f_bavail * figures.f_frsize, total=figures.f_blocks * figures.f_frsize)

    def close(self) -> None:
        self._tree.close()
        self._portion.give_back()

    def _list(self) -> list[SourceClip]:
        if self._listed is None:
            listed, walked = self._walk()
            # The count of failed commands knows no reasons: udev, which looks at the same disk in these
            # moments, asks for things that it need not have. What cannot be read fails every time.
            for _ in range(_MORE_LISTINGS):
                if not walked.doubted:
                    break
                listed, walked = self._walk()
            self._listed, self._skipped = listed, walked.skipped
        return self._listed

    def _walk(self) -> tuple[list[SourceClip], walk.Walk]:
        """A listing that is cut short by a pull starts afresh, tally included."""
        self._portion.give_back()
        layout = Layout(self._rules, shows_locks(self._device.fs_type, self._tree.root))
        errors = functools.partial(medium_errors, self._device)
        walked = walk.Walk(self._tree.root, self._port, layout.ignored, self._portion, errors)
        found = (f for f in walked.files() if f.folder or f.name not in self._own_files)
        listed = [layout.clip(f) for f in found]
        self._tally = layout.tally
        return listed, walked

    def _identity_files(self, clips: list[SourceClip]) -> list[str]:
        known = ((clip, kind) for clip in clips if (kind := _identity_file(clip.path, self._rules)))
        return [self._told(clip, kind) for clip, kind in itertools.islice(known, _IDENTITY_FILES)]

    def _told(self, clip: SourceClip, kind: IdentityFile) -> str:
        try:
            head = self._tree.head(clip.path, _HEAD)
        except Reject:
            return ""  # it has no vote; its damage shows when it is collected like any other file
        found = kind.regex.search(head.decode("gb18030", "replace"))
        return (found["recorder"] or "") if found else ""


def medium_errors(device: Device) -> int:
    """Commands that failed on this disk since it was plugged in; 0 where the system does not count them."""
    if not device.sysfs:
        return 0
    sysfs = Path(device.sysfs)
    disk = sysfs.parent if (sysfs / "partition").exists() else sysfs
    try:
        return int((disk / "device" / "ioerr_cnt").read_text(), 16)
    except (OSError, ValueError):
        return 0


def _identity_file(path: str, known: Rules) -> IdentityFile | None:
    return next((kind for kind in known.identity_files if kind.path.fullmatch(path)), None)
