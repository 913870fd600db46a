"""What is asked of the machine: a cold cache, empty folders, and what the kernel knows of a process."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_DROP = Path("/proc/sys/vm/drop_caches")
_TICK = os.sysconf("SC_CLK_TCK")


class Cold:
    """Empties the page cache: all of it where root may, else that of the files below `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.all = os.geteuid() == 0 and os.access(_DROP, os.W_OK)
        self.how = (
            "drop_caches" if self.all else "posix_fadvise(DONTNEED), which leaves names and inodes warm"
        )

    def drop(self) -> None:
        os.sync()  # only what is written back can be dropped
        if self.all:
            _DROP.write_text("3")
            return
        for folder, _, names in os.walk(self._folder):
            for name in names:
                _forget(os.path.join(folder, name))  # noqa: PTH118 - tens of thousands of them


def _forget(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return  # a socket, or gone again: nothing of it is cached
    try:
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(fd)


@contextmanager
def scratch(folder: Path, name: str) -> Iterator[Path]:
    """An empty folder that leaves nothing behind, on the disk neither."""
    made = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=folder))
    try:
        yield made
    finally:
        shutil.rmtree(made)
        os.sync()


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process has spent since its start."""

    cpu: float  # seconds
    written: int  # bytes that it made the kernel bring to a disk
    switches: int  # times that one of its threads woke up


def spent(pid: int) -> Spent:
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(stat[11]) + int(stat[12])) / _TICK
    switches = sum(
        _field(task / "status", "voluntary_ctxt_switches:") for task in Path(f"/proc/{pid}/task").iterdir()
    )
    return Spent(cpu, _field(Path(f"/proc/{pid}/io"), "write_bytes:"), switches)


def memory_peak(pid: int) -> int:
    """Largest resident set so far, in bytes, as the kernel kept it; 0 of a process that has ended."""
    return _field(Path(f"/proc/{pid}/status"), "VmHWM:") << 10


def memory_now(pid: int) -> int:
    """Resident set, in bytes."""
    return _field(Path(f"/proc/{pid}/status"), "VmRSS:") << 10


def forget_memory_peak() -> None:
    """This process' own largest resident set is counted from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def _field(file: Path, name: str) -> int:
    found = (int(line.split()[1]) for line in file.read_text().splitlines() if line.startswith(name))
    return next(found, 0)
