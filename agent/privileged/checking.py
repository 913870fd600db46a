"""Whether a file system is whole enough to remove files from it: on a damaged one, removing a file may free
what belongs to another.

The programs of its makers look, and change nothing (`-n`). What a plug that was pulled too early leaves on
FAT is no damage of any file: a mark, a count, clusters that no file has, a piece of a long name without its
file, a table that lags behind the other (see `tables`). Everything else is.
"""

import errno
import logging
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from agent.privileged.tables import only_freed

_TOLD = 1000  # characters of what a program says; a card chooses the names in it
_LONGEST = 120.0  # seconds; reading the tables of a large card by USB 2 takes some
_PATH = "/usr/sbin:/sbin:/usr/bin:/bin"
_EXT = ("e2fsck", "-f", "-n")
_PROGRAMS: dict[str, Sequence[str]] = {
    "vfat": ("fsck.fat", "-n"),
    "exfat": ("fsck.exfat", "-n"),
    "ext2": _EXT,
    "ext3": _EXT,
    "ext4": _EXT,
}
#: What fsck.fat may say of a card that was pulled, line by line; one line more, and it is refused.
_HARMLESS = re.compile(
    r"fsck\.fat \S+ \(\d{4}-\d\d-\d\d\)"
    r"|There are differences between boot sector and its backup\."
    r"|This is mostly harmless\. Differences: \(offset:original/backup\)"
    r"|  65:0[01]/0[01]"  # the mark itself
    r"|  Not automatically fixing this\."
    r"|Dirty bit is set\. Fs was not properly unmounted and some data may be corrupt\."
    r"| Automatically removing dirty bit\."
    r"|Reclaimed \d+ unused clusters? \(\d+ bytes\)\."
    r"|Free cluster summary wrong \(\d+ vs\. really \d+\)"
    r"|  Auto-correcting\."
    r'|Orphaned long file name part ".*"'
    r"|  Auto-deleting\."
    r"|Leaving filesystem unchanged\."
    r"|.*: \d+ files, \d+/\d+ clusters"
    r"|"
)
#: And where the tables differ in what is free alone.
_OF_TABLES = frozenset({"FATs differ but appear to be intact.", "  Using first FAT."})
_log = logging.getLogger(__name__)


def check(node: Path, fs_type: str) -> None:
    """Nothing may be writing to it. Raises OSError: EUCLEAN when it is damaged, EOPNOTSUPP when nothing here
    can tell, ETIMEDOUT."""
    program = _PROGRAMS.get(fs_type)
    found = shutil.which(program[0], path=_PATH) if program else None
    if program is None or found is None:
        raise OSError(errno.EOPNOTSUPP, f"nothing here checks {fs_type or 'this file system'}", str(node))
    try:
        ran = subprocess.run(
            [found, *program[1:], str(node)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={"LC_ALL": "C", "PATH": _PATH},
            timeout=_LONGEST,
            check=False,
        )
    except subprocess.TimeoutExpired as e:
        raise OSError(errno.ETIMEDOUT, "checking it took too long", str(node)) from e
    said = os.fsdecode(ran.stdout).splitlines()
    if ran.returncode == 0 or (fs_type == "vfat" and ran.returncode == 1 and _harmless(said, node)):
        return
    _log.warning("%s of %s: %s", program[0], node, ascii("\n".join(said))[:_TOLD])
    raise OSError(errno.EUCLEAN, f"damaged, says {program[0]} ({ran.returncode})", str(node))


def _harmless(said: Sequence[str], node: Path) -> bool:
    others = [line for line in said if line not in _OF_TABLES]
    if not others or not all(_HARMLESS.fullmatch(line) for line in others):
        return False
    return len(others) == len(said) or only_freed(node)
