"""What a file's place on the recorder says, and the listed file as the station knows it."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from agent.model import SourceClip
from drivers import names
from drivers.files import mount_id, mtime_ns
from drivers.identity import Tally, safe_text
from drivers.profile import Rules
from drivers.walk import Found

#: Here a file without any write permission is one that the officer locked.
_HAS_LOCK = frozenset({"vfat", "exfat"})
_ANY_WRITE = 0o222
MOUNTS = Path("/proc/self/mountinfo")


def shows_locks(fs_type: str, root: int) -> bool:
    """Whether a missing write permission means something here: a mount whose `fmask` takes it from every
    file shows no lock, and must not make every clip an important one."""
    if fs_type not in _HAS_LOCK:
        return False
    mount = str(mount_id(root))
    for line in MOUNTS.read_text("utf-8", "surrogateescape").splitlines():
        if line.split(" ", 1)[0] == mount and (
            mask := re.search(r"\bfmask=([0-7]+)", line.rpartition(" ")[2])
        ):
            return not int(mask[1], 8) & 0o200
    return True


@dataclass(frozen=True, slots=True)
class _Place:
    recorder: str = ""
    officer: str = ""
    important: bool = False


class Layout:
    """Turns what one listing finds into clips, and keeps the tally of whom they name."""

    def __init__(self, rules: Rules, locks: bool) -> None:
        self._rules = rules
        self._locks = locks
        # What the folder of the last file says: a listing goes folder by folder.
        self._last: tuple[str | None, _Place] = None, _Place()
        self.tally = Tally()

    def ignored(self, folder: str) -> bool:
        return any(pattern.fullmatch(folder) for pattern in self._rules.ignored_folders)

    def clip(self, found: Found) -> SourceClip:
        name = names.parse(found.name, self._rules)
        place = self._place(found.folder)
        officer = safe_text(name.officer or place.officer)
        self.tally.count(name.recorder, place.recorder, officer)
        modified = mtime_ns(found.status)
        locked = self._locks and not found.status.st_mode & _ANY_WRITE
        return SourceClip(
            path=f"{found.folder}/{found.name}" if found.folder else found.name,
            size=found.status.st_size,
            mtime_ns=modified,
            kind=self._kind(found.name),
            important=name.important or place.important or locked,
            officer=officer,
            sequence=name.sequence,
            recorded_at=name.recorded_at or _local(modified),
            time_source="name" if name.recorded_at else "mtime",
            name_parsed=name.pattern != names.UNKNOWN,
        )

    def _kind(self, name: str) -> str:
        _, dot, extension = name.rpartition(".")
        return self._rules.kinds.get(extension.lower(), "other") if dot else "other"

    def _place(self, folder: str) -> _Place:
        if folder != self._last[0]:
            found = (pattern.fullmatch(folder) for pattern in self._rules.folders)
            said = next((match.groupdict() for match in found if match), {})
            important = not self._rules.important_folders.isdisjoint(folder.lower().split("/"))
            place = _Place(said.get("recorder") or "", said.get("officer") or "", important)
            self._last = folder, place
        return self._last[1]


def _local(modified_ns: int) -> datetime:
    """FAT's time is the recorder's local time, which the station reads as if it were UTC."""
    return datetime.fromtimestamp(modified_ns // 10**9, UTC).replace(tzinfo=None)
