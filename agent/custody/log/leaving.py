"""What of the log leaves the station: the same files as on its disk, and each head under a name of its own.

<n>/key.pub          the public key of the log
<n>/tile/…           entries and hashes, as on the disk; those that grow are replaced by more
<n>/key-changed      where the key was changed: the last head, signed by both
<n>/heads/<size>     a head; never replaced, so that no later one can pretend that it never was
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agent.custody.log import heads, tiles
from agent.custody.log.changing import FILE as CHANGE
from agent.custody.log.opening import is_over, numbers
from agent.custody.log.reading import Log
from agent.custody.log.shelf import ENTRIES, read_bundle, read_tile
from agent.custody.log.tiles import WIDTH
from agent.errors import Stop


@dataclass(frozen=True, slots=True)
class Document:
    path: str  # below the folder of all logs
    data: bytes
    grows: bool  # what lies there is its beginning, and is replaced by it; else it is there for good


@dataclass(frozen=True, slots=True)
class Step:
    """Once all of `documents` lie there, somebody else has the log numbered `log` up to `size`."""

    documents: tuple[Document, ...]
    log: int
    size: int


def steps(folder: Path, log: int, size: int, first: int = 0) -> Iterator[Step]:
    """What is to be laid elsewhere, in this order, where `size` entries of the log numbered `log`, and all
    logs before it, lie already; 0 and 0 where nothing does. Logs before the one numbered `first` are never
    told. Ends with the last head that is signed now.

    Raises Stop `log-unreadable`, OSError."""
    before: Log | None = None
    for number in numbers(folder) if folder.is_dir() else ():
        one = folder / str(number)
        # Of one that is over there may be more elsewhere than is left here.
        # Where the file of heads is empty the first one is just being written.
        if number >= first and heads.size(one) > 0 and not is_over(one):
            now = Log(one)
            if number >= log:
                yield from _of_log(now, size if number == log else 0, before)
            before = now


def _of_log(log: Log, size: int, before: Log | None) -> Iterator[Step]:
    number, end = int(log.folder.name), log.head.size
    if size > end:
        raise Stop("log-unreadable", log=log.folder.name, reason=f"{size} entries left it, {end} are here")
    key = Document(f"{number}/key.pub", f"{log.key.vkey}\n".encode(), grows=False)
    head = Document(f"{number}/{heads.FILE}/{end:012}", log.note.data, grows=False)
    while size < end:
        first, n = () if size else (*_change(before), key), size // WIDTH
        size = min(end, (n + 1) * WIDTH)
        last = (head,) if size == end else ()
        yield Step((*first, *_bundle(log, n, size), *last), number, size)


def _change(before: Log | None) -> Iterator[Document]:
    """What leads from the key of the log before to that of the next one."""
    if before is not None and (path := before.folder / CHANGE).exists():
        yield Document(f"{before.folder.name}/{CHANGE}", path.read_bytes(), grows=False)


def _bundle(log: Log, n: int, size: int) -> Iterator[Document]:
    """Of the log of `size` entries: bundle `n`, its last one, and every tile that ends with it."""
    entries = read_bundle(log.folder, n)[: size - n * WIDTH]
    if len(entries) < size - n * WIDTH:
        raise Stop("log-unreadable", log=log.folder.name, reason=f"bundle {n} is not whole")
    yield _document(log, ENTRIES, n, tiles.bundle(entries))
    last = size == log.head.size
    level, hashes = 0, size
    while hashes:
        tile, count = divmod(hashes - 1, WIDTH)
        if count + 1 < WIDTH and not last:
            break
        yield _document(log, level, tile, b"".join(read_tile(log.folder, level, tile)[: count + 1]))
        level, hashes = level + 1, hashes // WIDTH


def _document(log: Log, level: int | str, n: int, data: bytes) -> Document:
    return Document(f"{log.folder.name}/{tiles.path(level, n)}", data, grows=True)
