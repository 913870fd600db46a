"""A clip whose copy in the store is rotten, fetched anew and put in its place.

    fetched, compared ─fsync─ read back, equal ─ rotten bytes set aside ─ renamed without replacing ─commit

Until the commit the catalog calls the copy rotten; so an agent that dies anywhere in between begins anew, or
finds it whole.
"""

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from agent import durable
from agent.errors import NotEqual, StationError, StoreFull
from agent.ingest import reread
from agent.ingest.room import Disk
from agent.ingest.store import Store
from agent.model import Manifest, Problem, StoredClip

#: (clip, what takes its bytes and raises NotEqual for others, how to wait) -> the name of the target that
#: gave them, or why none did
Fetch = Callable[[int, Callable[[Iterator[bytes]], None], Callable[[float], object]], "str | list[Problem]"]


class NotHealed(StationError):
    """`reasons`: of each target that was asked."""

    key = "scrub-not-healed"

    def __init__(self, clip: int, reasons: list[Problem]) -> None:
        super().__init__(clip=clip, reason=", ".join(one.key for one in reasons))
        self.reasons = reasons


def bring(
    store: Store,
    disk: Disk,
    clip: StoredClip,
    fetch: Fetch,
    check: Callable[[], None],
    wait: Callable[[float], object],
    buffer: memoryview,
) -> str:
    """The clip's bytes, as they were, on the disk under a name of their own (`aside`), which the caller
    removes, also after an error; from which target. `disk`: without what dockings were promised. Raises
    NotHealed, StoreFull, OSError, Stopping."""
    place = aside(store, clip.id)

    def put(pieces: Iterator[bytes]) -> None:
        _write(disk, place, pieces, clip.manifest, check)
        if reread.look(place, clip.manifest, lambda size: check(), buffer) is not None:
            raise NotEqual(clip=clip.id)

    _need(disk, clip.manifest.size)
    come = fetch(clip.id, put, wait)
    check()
    if not isinstance(come, str):
        raise NotHealed(clip.id, come)
    return come


def exchange(store: Store, clip: StoredClip) -> None:
    """What `bring` brought takes the place of what is rotten, which is kept for those who look into it."""
    final = store.path(clip.key)
    folders = durable.make_folders(final.parent, store.clips)
    if os.path.lexists(final):
        store.set_aside(clip.id, final)
        durable.sync_folder(store.quarantined)
    durable.rename_noreplace(aside(store, clip.id), final)
    for folder in folders:
        durable.sync_folder(folder)
    store.rewrite_sidecar(clip)


def as_it_is(path: Path) -> tuple[int, ...]:
    """Changes when another file takes its place; not when its bytes rot. () while there is none."""
    try:
        found = path.lstat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def aside(store: Store, clip: int) -> Path:
    """Not the name of a copy on its way: swept at the start, whatever the clip waits for."""
    return store.incoming / f"healing-{clip}"


def _need(disk: Disk, size: int) -> None:
    """All of the reserve stays: what was promised to dockings may need a part of it. Raises StoreFull."""
    free, _, reserve = disk()
    if free - size < reserve:
        raise StoreFull(free=free, needed=size, reserve=reserve)


def _write(
    disk: Disk, place: Path, pieces: Iterator[bytes], manifest: Manifest, check: Callable[[], None]
) -> None:
    """Raises NotEqual, StoreFull."""
    done, digest, asked = 0, hashlib.sha256(), 0
    with durable.open_fd(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) as fd:
        for piece in pieces:
            check()
            done += len(piece)
            if done > manifest.size:
                raise NotEqual(why="longer")
            if done >= asked:  # somebody else may have used the room
                _need(disk, manifest.size - done + len(piece))
                asked = done + manifest.part_size
            digest.update(piece)
            data = memoryview(piece)
            while data:
                data = data[os.write(fd, data) :]
        if done != manifest.size or digest.hexdigest() != manifest.sha256:
            raise NotEqual(size=done, sha256=digest.hexdigest())
        os.fsync(fd)
    durable.sync_folder(place.parent)
