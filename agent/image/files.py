"""Reads files that people wrote on any PC, and writes files that are whole after a power cut."""

import codecs
import os
import stat
from pathlib import Path

from agent import durable
from agent.errors import Stop
from agent.image.system import System

LARGEST = 1 << 20  # bytes
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16-le", codecs.BOM_UTF16_BE: "utf-16-be"}


def content(path: Path, largest: int = LARGEST) -> bytes:
    """Raises FileNotFoundError, and Stop for every other trouble."""
    try:
        fd = os.open(path, _OPEN)
        with os.fdopen(fd, "rb") as file:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise Stop("boot-file-unreadable", file=path.name, reason="it is not a file")
            found = file.read(largest + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise Stop("boot-file-unreadable", file=path.name, reason=error.strerror or str(error)) from error
    if len(found) > largest:
        raise Stop("boot-file-too-large", file=path.name, largest=largest)
    return found


def text(path: Path, largest: int = LARGEST) -> str:
    """Text as editors and spreadsheets save it: UTF-8, UTF-16 or, on Chinese Windows, GBK; lines end with
    `\\n`. Raises as `content` does."""
    return decoded(content(path, largest), path.name)


def decoded(data: bytes, name: str) -> str:
    mark = next((mark for mark in _MARKS if data.startswith(mark)), b"")
    for encoding in [_MARKS[mark]] if mark else ["utf-8", "gb18030"]:
        try:
            found = data[len(mark) :].decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in found:
            return found.replace("\r\n", "\n").replace("\r", "\n")
    raise Stop("boot-file-no-text", file=name)


def put(system: System, path: Path, data: bytes, mode: int = 0o644, group: bool = False) -> bool:
    """Put `data` under `path` as a whole or not at all, on disk when this returns; False when it was so
    already (what watches the file need not be woken). Only root writes it, `group` adds the agent's group."""
    try:
        if path.stat().st_mode & 0o7777 == mode and path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    aside = path.with_name(f".{path.name}.new")
    aside.unlink(missing_ok=True)
    # Closed to everybody until it has its owner: some of these are secrets.
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        system.give(fd, group)
        os.fchmod(fd, mode)
        file.write(data)
        file.flush()
        os.fsync(fd)
    aside.replace(path)
    durable.sync_folder(path.parent)
    return True


def folder(system: System, path: Path, mode: int = 0o755, group: bool = False) -> None:
    """Make the folder, or give one that is there its owner and mode."""
    if not path.is_dir():
        path.mkdir(parents=True, mode=0o700)
        durable.sync_folder(path.parent)
    with durable.folder_fd(path) as fd:
        system.give(fd, group)
        os.fchmod(fd, mode)
