"""Passwords and keys that came on the boot partition move to the data disk, and are overwritten there.

No step loses one: a file is overwritten only when its copy was read back from the data disk and is equal. A
power cut in the middle of overwriting leaves sectors of zeros among sectors that equal the copy: that is how
the next boot knows that it has to finish, and not to take the rest for a new secret.

Names are told, contents never.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from agent import durable
from agent.errors import Stop
from agent.image.files import content, folder, put
from agent.image.paths import Paths
from agent.image.report import Report
from agent.image.system import System

_SECTOR = 512  # bytes that a disk writes as a whole
_DEEPEST = 4
_LITTER = ("readme", "thumbs.db", "desktop.ini", "system volume information")


def waiting(paths: Paths) -> list[Path]:
    """The files that are to be moved, relative to `secrets/`."""
    return list(_below(paths.boot / "secrets", Path()))


def _below(top: Path, at: Path) -> Iterator[Path]:
    if not (top / at).is_dir() or len(at.parts) > _DEEPEST:
        return
    for entry in sorted((top / at).iterdir()):
        if entry.name.startswith(".") or entry.name.lower().startswith(_LITTER):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _below(top, at / entry.name)
        else:
            yield at / entry.name


def move(paths: Paths, system: System, report: Report) -> None:
    """All of them are safe before the first one is wiped."""
    names = waiting(paths)
    if not names:
        return
    folder(system, paths.secrets, mode=0o750, group=True)
    safe = []
    for name in names:
        with report.guard():
            _keep(paths, system, name)
            safe.append(name)
    if safe:
        _wipe_all(paths, system, report, safe)


def _keep(paths: Paths, system: System, name: Path) -> None:
    shown = f"secrets/{name}"
    try:
        found = content(paths.boot / "secrets" / name)
    except Stop as error:
        raise Stop(error.key, **{**error.params, "file": shown}) from None
    target = paths.secrets / name
    try:
        kept = content(target)
    except FileNotFoundError:
        kept = b""
    if not (kept and _is_half_wiped(found, kept)):
        if not found.strip(b"\0"):
            raise Stop("secret-empty", file=shown)
        kept = found
        for above in reversed(target.relative_to(paths.secrets).parents[:-1]):
            folder(system, paths.secrets / above, mode=0o750, group=True)
        put(system, target, found, mode=0o640, group=True)
    # Synced also when it was there before: whoever wrote it may not have come to that.
    if _from_disk(target) != kept:
        raise Stop("secret-not-equal", file=shown)


def _is_half_wiped(found: bytes, kept: bytes) -> bool:
    """Also true of a file that is equal to its copy, and of one that is all zeros."""
    if len(found) != len(kept):
        return False
    for at in range(0, len(found), _SECTOR):
        sector = found[at : at + _SECTOR]
        if sector.strip(b"\0") and sector != kept[at : at + _SECTOR]:
            return False
    return True


def _from_disk(path: Path) -> bytes:
    with durable.open_fd(path, os.O_RDONLY) as fd:
        os.fsync(fd)
        durable.sync_folder(path.parent)
        durable.drop_cache(fd)
        with os.fdopen(os.dup(fd), "rb") as file:
            return file.read()


def _wipe_all(paths: Paths, system: System, report: Report, names: list[Path]) -> None:
    try:
        system.remount_boot(paths.boot, writable=True)
    except Stop as error:
        reason = error.params.get("reason", error.key)
        raise Stop("secret-not-wiped", file="secrets/", reason=reason) from error
    try:
        for name in names:
            with report.guard():
                _wipe(paths.boot / "secrets" / name, f"secrets/{name}")
    finally:
        system.remount_boot(paths.boot, writable=False)


def _wipe(file: Path, shown: str) -> None:
    """Overwritten in place and synced before its name goes: what is freed first may be kept elsewhere."""
    try:
        with durable.open_fd(file, os.O_WRONLY) as fd:
            left = os.fstat(fd).st_size
            while left:
                left -= os.write(fd, bytes(min(left, 64 << 10)))
            os.fsync(fd)
        file.unlink()
        durable.sync_folder(file.parent)
    except OSError as error:
        raise Stop("secret-not-wiped", file=shown, reason=error.strerror or str(error)) from error
