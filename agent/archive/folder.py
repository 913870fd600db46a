"""A share or a folder as the archive's store. Nothing there has versions or locks."""

import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from agent.archive.store import LARGEST, Entry
from agent.errors import Transient
from agent.model import Lock
from agent.upload.targets import keys, share
from agent.upload.targets.folder import MARK, FolderTarget

_INCOMING = "incoming"
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


class FolderStore:
    def __init__(self, root: Path) -> None:
        self.address, self._root = str(root), root
        self._target = FolderTarget("archive", root, first_contact=False)

    def place(self) -> str:
        return self._target.place()

    def now(self) -> float:
        return self._target.now()

    def below(self, folder: str, after: str = "") -> list[str]:
        with self._folder(folder.split("/")) as place:
            names = os.listdir(place) if place is not None else []  # noqa: PTH208 - an open folder
        return sorted(name for name in names if name > after)

    def entries(self, folder: str) -> Iterator[Entry]:
        with self._folder(folder.split("/")) as place:
            if place is None:
                return
            files, folders = list[Entry](), list[str]()
            with os.scandir(place) as found:
                for one in found:
                    if one.is_dir(follow_symlinks=False):
                        folders.append(one.name)
                    elif one.is_file(follow_symlinks=False):
                        size = one.stat(follow_symlinks=False).st_size
                        files.append(Entry(f"{folder}/{one.name}", size))
        yield from sorted(files)
        for name in sorted(folders):
            yield from self.entries(f"{folder}/{name}")

    def read(self, path: str, *, hidden: bool = False) -> bytes | None:
        *folders, name = keys.components(path, "")
        with self._folder(folders) as place:
            if place is None:
                return None
            with suppress(FileNotFoundError), share.opened(place, name, os.O_RDONLY) as fd:
                share.drop_cache(fd)
                with open(fd, "rb", closefd=False) as file:
                    return file.read(LARGEST)
        return None

    def lay(self, path: str, data: bytes) -> bool:
        *folders, name = keys.components(path, "")
        temp = f"{secrets.token_hex(16)}.document"  # stations sweep it, should it be left behind
        with (
            self._open() as root,
            share.folder(root, [_INCOMING], create=True) as incoming,
            share.folder(root, folders, create=True) as place,
        ):
            try:
                share.lay(incoming, temp, place, name, data, replace=False)
            except FileExistsError:
                share.forget(incoming, temp)
                return False
        return True

    def exists(self, path: str) -> bool:
        *folders, name = keys.components(path, "")
        with self._folder(folders) as place:
            if place is None:
                return False
            with suppress(FileNotFoundError):
                os.stat(name, dir_fd=place, follow_symlinks=False)
                return True
        return False

    def kept(self, path: str) -> Lock:
        return Lock()

    def erase(self, path: str) -> int:
        *folders, name = keys.components(path, "")
        with self._folder(folders) as place:
            if place is None:
                return 0
            try:
                os.unlink(name, dir_fd=place)
            except FileNotFoundError:
                return 0
            finally:
                share.sync_folder(place)  # also of one that went just before the power did
        return 1

    @contextmanager
    def _folder(self, parts: list[str]) -> Iterator[int | None]:
        """None when it is not there."""
        with self._open() as root, ExitStack() as stack:
            try:
                place = stack.enter_context(share.folder(root, parts))
            except FileNotFoundError:
                place = None
            yield place

    @contextmanager
    def _open(self) -> Iterator[int]:
        try:
            root = os.open(self._root, _FLAGS & ~os.O_NOFOLLOW)
        except OSError as error:
            raise Transient("target-not-mounted", path=str(self._root / MARK)) from error
        try:
            yield root
        except OSError as error:
            raise share.told(error, str(self._root)) from error
        finally:
            os.close(root)
