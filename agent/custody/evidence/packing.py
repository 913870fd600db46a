"""Where a package is made: a folder, or one zip file. It has a hidden name until it is whole.

A zip file is written as it goes, so nothing lies on the disk twice. Nothing in it is packed denser: media is
that already. Times are not told, so the same files in the same order are the same bytes.
"""

import hashlib
import os
import shutil
import stat
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from agent import durable
from agent.custody import national, package
from agent.custody.verifier import Invalid
from agent.errors import Stop

ENDING = ".zip"
_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest that a zip file can tell


class Packing(ABC):
    """`digests`: of all that lies in it, path → (SHA-256 in hex, bytes), as it was handed over; `national`:
    the SM3 in hex, where that is wanted and this Python can."""

    def __init__(self, aside: Path, sm3: bool) -> None:
        self.aside = aside
        self.digests: dict[str, tuple[str, int]] = {}
        self.national: dict[str, str] = {}
        self._sm3 = sm3

    def put(self, path: str, data: bytes) -> None:
        self.copy(path, [data])

    def copy(self, path: str, blocks: Iterable[bytes]) -> None:
        """Whatever `blocks` raise is raised, and nothing of the file is left. Raises OSError, Stop
        `export-name-odd` for a name that cannot be, or leads out of the package."""
        try:
            package.decoded(package.encoded(path))
        except Invalid as error:
            raise Stop("export-name-odd", clip=0, file=path) from error
        digest, size = hashlib.sha256(), 0
        second = national.sm3() if self._sm3 else None

        def passing() -> Iterator[bytes]:
            nonlocal size
            for block in blocks:
                digest.update(block)
                if second is not None:
                    second.update(block)
                size += len(block)
                yield block

        self._write(path, passing())
        self.digests[path] = digest.hexdigest(), size
        if second is not None:
            self.national[path] = second.hexdigest()

    @abstractmethod
    def _write(self, path: str, blocks: Iterable[bytes]) -> None: ...

    @abstractmethod
    def finish(self) -> None:
        """Nothing more is added, and all of it is on the disk."""


class FolderPacking(Packing):
    def _write(self, path: str, blocks: Iterable[bytes]) -> None:
        to = self.aside / path
        to.parent.mkdir(parents=True, exist_ok=True)
        with to.open("xb") as file:
            try:
                file.writelines(blocks)
            except BaseException:
                to.unlink()
                raise

    def finish(self) -> None:
        self.aside.chmod(0o750)
        durable.sync_file_system(self.aside)


class ZipPacking(Packing):
    def __init__(self, aside: Path, sm3: bool, file: BinaryIO, archive: zipfile.ZipFile) -> None:
        super().__init__(aside, sm3)
        self._file, self._zip = file, archive

    def _write(self, path: str, blocks: Iterable[bytes]) -> None:
        member, start = zipfile.ZipInfo(path, _TIME), self._zip.start_dir
        member.external_attr = (stat.S_IFREG | 0o640) << 16
        try:
            with self._zip.open(member, "w", force_zip64=True) as writer:
                for block in blocks:
                    writer.write(block)
        except UnicodeEncodeError as error:
            raise Stop("export-name-odd", clip=0, file=path) from error
        except BaseException:
            self._take_back(member, start)
            raise

    def _take_back(self, member: zipfile.ZipInfo, start: int) -> None:
        """What was begun of the last file, which is in the directory already."""
        if member in self._zip.filelist:
            self._zip.filelist.remove(member)
            del self._zip.NameToInfo[member.filename]
        self._zip.start_dir = start
        self._file.seek(start)
        self._file.truncate()

    def finish(self) -> None:
        self._zip.close()
        self._file.flush()
        os.fchmod(self._file.fileno(), 0o640)
        os.fsync(self._file.fileno())


@contextmanager
def packing(to: Path, *, sm3: bool = False) -> Iterator[Packing]:
    """For the package `to`, a zip file when it is called so. Behind the block it has its name, unless the
    block raises: then nothing is left of it. Raises FileExistsError when there is something at `to`, and
    OSError."""
    prefix = f".{to.name[:100]}."
    if to.suffix.lower() == ENDING:
        handle, name = tempfile.mkstemp(prefix=prefix, dir=to.parent)
        aside = Path(name)
        with _named(aside, to), os.fdopen(handle, "w+b") as file, zipfile.ZipFile(file, "w") as archive:
            yield ZipPacking(aside, sm3, file, archive)
    else:
        aside = Path(tempfile.mkdtemp(prefix=prefix, dir=to.parent))
        with _named(aside, to):
            yield FolderPacking(aside, sm3)


@contextmanager
def _named(aside: Path, to: Path) -> Iterator[None]:
    try:
        yield
        durable.rename_noreplace(aside, to)
        durable.sync_folder(to.parent)
    finally:  # where it has its name there is nothing here any more
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)
