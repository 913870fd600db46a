"""The station's disk seen from outside: what IT writes to its boot partition before the first start, and what
lies on its data partition after the last one. No mount, no privilege: mtools and debugfs.
"""

import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

SECTOR = 512
BOOT, DATA = "boot", "station-data"


@dataclass(frozen=True)
class Partition:
    number: int
    name: str
    start: int  # bytes
    size: int


@dataclass(frozen=True)
class Disk:
    """A raw disk image with a GPT. Only while no guest runs on it."""

    path: Path

    @classmethod
    def copy(cls, image: Path, path: Path, size: int = 0) -> "Disk":
        """A sparse copy of its own: what a disk imager writes to a disk of `size` bytes (else: as large)."""
        subprocess.run(["cp", "--sparse=always", "--reflink=auto", image, path], check=True)
        disk = cls(path)
        if size:
            assert size >= path.stat().st_size, "the image is larger than that"
            os.truncate(path, size)
        return disk

    def partitions(self) -> list[Partition]:
        with self.path.open("rb") as file:
            file.seek(SECTOR)
            header = file.read(92)
            assert header[:8] == b"EFI PART", f"{self.path} has no GPT"
            table, count, length = struct.unpack_from("<QII", header, 72)
            file.seek(table * SECTOR)
            entries = [file.read(length) for _ in range(count)]
        found = []
        for number, entry in enumerate(entries, 1):
            first, last = struct.unpack_from("<QQ", entry, 32)
            if any(entry[:16]):
                name = entry[56:128].decode("utf-16-le").rstrip("\0")
                found.append(Partition(number, name, first * SECTOR, (last - first + 1) * SECTOR))
        return found

    def partition(self, name: str) -> Partition:
        return next(found for found in self.partitions() if found.name == name)

    # the boot partition, as any PC writes it

    def put(self, name: str, content: bytes | str) -> None:
        """`name` on the boot partition, e.g. `station.yaml` or `secrets/agency`; made or replaced."""
        for above in reversed(Path(name).parents[:-1]):
            self._mtools("mmd", "-D", "s", f"::{above}", check=False)
        data = content.encode() if isinstance(content, str) else content
        self._mtools("mcopy", "-o", "-", f"::{name}", stdin=data)

    def get(self, name: str) -> bytes:
        return self._mtools("mtype", f"::{name}")

    def remove(self, name: str) -> None:
        self._mtools("mdel", f"::{name}")

    def _mtools(self, command: str, *arguments: str, stdin: bytes = b"", check: bool = True) -> bytes:
        program, *rest = [command, *arguments]
        image = f"{self.path}@@{self.partition(BOOT).start}"
        ran = subprocess.run(
            [program, "-i", image, *rest],
            input=stdin,
            capture_output=True,
            env={**os.environ, "MTOOLS_SKIP_CHECK": "1"},
            check=False,
        )
        assert ran.returncode == 0 or not check, f"{command} {arguments}: {ran.stderr.decode()}"
        return ran.stdout

    # the data partition

    def data(self, folder: Path, what: str = "/") -> Path:
        """What is below the path `what` on the data partition, copied to `folder` (anew) after the journal
        was replayed, as the next start would find it. On a copy: the disk stays as the power cut left it."""
        part, copy = self.partition(DATA), folder.with_name(folder.name + ".ext4")
        cut_out(self.path, part, copy)
        try:
            take_out(copy, folder, what)
        finally:
            copy.unlink()
        return folder


def take_out(ext4: Path, folder: Path, what: str = "/") -> None:
    """What is below the path `what` of this file system, copied to `folder` (anew) after its journal was
    replayed, as the next mount does it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    checked = subprocess.run(["e2fsck", "-p", ext4], capture_output=True, text=True, check=False)
    assert checked.returncode < 4, f"the data partition does not mend: {checked.stdout}"
    subprocess.run(
        ["debugfs", "-R", f"rdump {what} {folder}", ext4], capture_output=True, text=True, check=True
    )


def cut_out(disk: Path, part: Partition, path: Path) -> None:
    """The bytes of a partition, sparse."""
    section = ["iflag=skip_bytes,count_bytes", f"skip={part.start}", f"count={part.size}"]
    subprocess.run(
        ["dd", f"if={disk}", f"of={path}", "bs=1M", "conv=sparse", "status=none", *section],
        check=True,
    )
    os.truncate(path, part.size)
