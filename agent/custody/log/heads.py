"""The file of a log's heads: signed notes one after the other, of five lines each, one for each size.

station/<id>/<n>    origin
<size>              entries
<root>
                    (empty)
— station/<id> …    signature
"""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from agent import durable
from agent.custody.verifier import Invalid, Note

FILE = "heads"
LINES = 5  # of a head
LARGEST = 1024  # bytes of a head; names and numbers of a station leave it far below
_SIGNATURE = "— ".encode()


def append(folder: Path, note: Note) -> None:
    """On the disk when this returns."""
    with durable.open_fd(folder / FILE, os.O_WRONLY | os.O_CREAT | os.O_APPEND) as fd:
        new = os.fstat(fd).st_size == 0
        _write(fd, note.data)
        os.fsync(fd)
    if new:
        durable.sync_folder(folder)


def last(folder: Path) -> tuple[bytes, bytes]:
    """The last whole head, b"" without one, and what lies behind it, up to some KiB."""
    try:
        with durable.open_fd(folder / FILE, os.O_RDONLY) as fd:
            size = os.fstat(fd).st_size
            start = max(0, size - 3 * LARGEST)
            tail = os.pread(fd, 3 * LARGEST, start)
    except FileNotFoundError:
        return b"", b""
    signature = tail.rfind(b"\n" + _SIGNATURE)
    while signature >= 0 and (end := tail.find(b"\n", signature + 1)) < 0:
        signature = tail.rfind(b"\n" + _SIGNATURE, 0, signature)  # torn in its last line
    if signature < 0:
        return b"", tail
    begin = signature + 1
    for _ in range(LINES - 1):
        begin = tail.rfind(b"\n", 0, begin - 1) + 1
    return tail[begin : end + 1], tail[end + 1 :]


def is_torn(data: bytes, origin: str) -> bool:
    """Whether `data` can be what a power cut left of a head of `origin`: its beginning, or nothing but the
    length, and zeros."""
    there, line = data.rstrip(b"\0"), f"{origin}\n".encode()
    return len(data) < LARGEST and there.count(b"\n") < LINES and line.startswith(there[: len(line)])


def cut(folder: Path, torn: int) -> None:
    """Remove the `torn` last bytes."""
    with durable.open_fd(folder / FILE, os.O_WRONLY) as fd:
        os.ftruncate(fd, os.fstat(fd).st_size - torn)
        os.fsync(fd)


def gather(folder: Path) -> None:
    """Where a copy from the centre has a folder with a file for each head, make the one file of them; also
    when that was cut short before."""
    file, left = folder / FILE, folder / f"{FILE}.left"
    if file.is_dir():
        file.rename(left)
    if not left.is_dir():
        return
    if not file.exists():
        aside = folder / f"{FILE}.tmp"
        with aside.open("wb") as whole:
            for path in sorted(left.iterdir()):
                whole.write(path.read_bytes())
            whole.flush()
            os.fsync(whole.fileno())
        aside.rename(file)
        durable.sync_folder(folder)
    shutil.rmtree(left)


def size(folder: Path) -> int:
    """Bytes of the file; 0 without one."""
    try:
        return (folder / FILE).stat().st_size
    except FileNotFoundError:
        return 0


def walk(folder: Path, origin: str, limit: int | None = None) -> Iterator[tuple[int, Note | Invalid]]:
    """(number of its first line, from 1; the head, or why it is none), from the oldest to the newest within
    `limit` bytes. Lines that belong to none are told as one that is none, a torn end is not."""
    left = size(folder) if limit is None else limit
    if not left:
        return
    number, lines = 1, list[bytes]()
    with (folder / FILE).open("rb") as file:
        while line := file.readline(min(left, LARGEST)):
            left -= len(line)
            lines.append(line)
            if line.endswith(b"\n") and (line.startswith(_SIGNATURE) or len(lines) > LINES):
                yield number, _parsed(lines)
                number, lines = number + len(lines), []
            elif len(line) == LARGEST:
                yield number, Invalid("a line without end")
                number, lines = number + 1, []
            if not left:
                break
    if lines and not is_torn(b"".join(lines), origin):
        yield number, Invalid("lines that are no head")


def _parsed(lines: list[bytes]) -> Note | Invalid:
    try:
        if len(lines) != LINES:
            raise Invalid("lines are missing, or too many")
        return Note.parse(b"".join(lines))
    except Invalid as error:
        return error


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]
