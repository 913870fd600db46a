"""Recorders as disk images: real file systems, made by tools that need neither a mount nor privileges.

The files are sparse; the digest of a whole image is what a forensic check would compare.
"""

import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from scripts.demo_rack import make_recorder
from tests.vm.exfat import ExFat

MIB = 1 << 20
FileSystem = Literal["fat32", "exfat", "ext4", "ntfs"]
Table = Literal["mbr", "gpt", "none"]

_ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"}
_ENVIRONMENT["PATH"] += ":/usr/sbin:/sbin"
_START = 1 * MIB  # of the first partition: where every tool puts it
_TYPES = {  # of partitions, in sfdisk's words
    "mbr": {"fat32": "c", "exfat": "7", "ntfs": "7", "ext4": "83"},
    "gpt": dict.fromkeys(("fat32", "exfat", "ntfs"), "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7")
    | {"ext4": "0FC63DAF-8483-4772-8E79-3D69D8477DE4"},
}


@dataclass(frozen=True)
class Card:
    """The memory of a recorder. FAT32 needs 40 MiB at least, NTFS and ext4 some for themselves."""

    number: str
    fs: FileSystem = "exfat"
    table: Table = "mbr"
    mib: int = 64  # of the file system
    label: str | None = None  # else the recorder's number


def recorder(image: Path, card: Card, *, clips: int = 6, size: int = 300_000, seed: int = 0) -> Path:
    """`card` with the media of `scripts.demo_rack` in `DCIM/100MEDIA` (NTFS: in its root). What it holds
    lies in the folder `image` without its suffix, too. Returns `image`."""
    folder = held(image)
    folder.parent.mkdir(parents=True, exist_ok=True)
    make_recorder(folder, number=card.number, clips=clips, size=size, seed=seed)
    (folder / ".recorder.yaml").unlink()  # the card of a simulated recorder
    return make(image, card, folder)


def held(image: Path) -> Path:
    """The folder of what was put into `image` by `recorder`."""
    return image.with_suffix("")


def make(image: Path, card: Card, folder: Path) -> Path:
    """An image of `card` with everything in `folder`."""
    with tempfile.NamedTemporaryFile(dir=image.parent, suffix=".fs") as made:
        partition = Path(made.name)
        os.truncate(partition, card.mib * MIB)
        _MAKERS[card.fs](partition, card.number if card.label is None else card.label, folder)
        partitioned(image, [(card.fs, partition)], card.table)
    return image


def partitioned(image: Path, partitions: list[tuple[FileSystem, Path]], table: Table) -> Path:
    """A disk with these file systems, one after the other; without a table there is room for one."""
    sizes = [path.stat().st_size for _, path in partitions]
    assert table != "none" or len(partitions) == 1
    start = 0 if table == "none" else _START
    with image.open("wb") as file:
        file.truncate(start + sum(sizes) + (0 if table == "none" else MIB))
    if table != "none":
        wanted = [f"label: {'dos' if table == 'mbr' else 'gpt'}", "label-id: 0x5EC04DE4" * (table == "mbr")]
        at = start
        for (fs, _), size in zip(partitions, sizes, strict=True):
            wanted.append(f"start={at // 512}, size={size // 512}, type={_TYPES[table][fs]}")
            at += size
        _run("sfdisk", "--quiet", str(image), stdin="\n".join(filter(None, wanted)).encode())
    for (_, path), size in zip(partitions, sizes, strict=True):
        place = (f"seek={start}", "oflag=seek_bytes", "conv=sparse,notrunc", "status=none")
        _run("dd", f"if={path}", f"of={image}", "bs=1M", *place)
        start += size
    return image


def digest(image: Path) -> str:
    with image.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fat32(partition: Path, label: str, folder: Path) -> None:
    _run("mkfs.fat", "-F", "32", "-s", "1", "-n", label[:11].upper(), str(partition))
    for inner in sorted(folder.iterdir()):
        _run("mcopy", "-s", "-m", "-Q", "-i", str(partition), str(inner), "::/")


def _exfat(partition: Path, label: str, folder: Path) -> None:
    _run("mkfs.exfat", "-c", "32K", "-L", label[:11], str(partition))
    card = ExFat(partition)
    card.add(folder)
    card.close()
    _run("fsck.exfat", "-n", str(partition))


def _ext4(partition: Path, label: str, folder: Path) -> None:
    _run("mke2fs", "-q", "-F", "-t", "ext4", "-L", label[:16], "-d", str(folder), str(partition))


def _ntfs(partition: Path, label: str, folder: Path) -> None:
    """Files only, and in the root: there is no tool that makes a folder without a mount."""
    _run("mkntfs", "-F", "-q", "-Q", "-L", label, str(partition))
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        _run("ntfscp", "-q", "-m", str(partition), str(file), file.name)


_MAKERS: dict[FileSystem, Callable[[Path, str, Path], None]] = {
    "fat32": _fat32,
    "exfat": _exfat,
    "ext4": _ext4,
    "ntfs": _ntfs,
}


def _run(*command: str, stdin: bytes = b"") -> bytes:
    ran = subprocess.run(command, input=stdin, capture_output=True, env=_ENVIRONMENT, check=False)
    assert ran.returncode == 0, f"{command}: {(ran.stderr or ran.stdout).decode(errors='replace')}"
    return ran.stdout
