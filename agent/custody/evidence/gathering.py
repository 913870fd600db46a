"""Brings the clips into a package: from the store, or, where that has none or another one, from the centre.

Each is compared as it passes. One that cannot be had is left out with the reason, and the others go.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agent.catalog.chosen import Clip
from agent.custody import package
from agent.custody.evidence.packing import Packing
from agent.errors import NotEqual
from agent.model import COLLECTED, ClipState, Problem

_BLOCK = 1 << 20
#: (clip, what takes its bytes and raises NotEqual for others) → where it came from, or why it did not come.
Fetch = Callable[[int, Callable[[Iterator[bytes]], None]], str | list[Problem]]


@dataclass(frozen=True, slots=True)
class Gathered:
    """By clip: `fetched`, from which target; `missing`, why it is not in the package."""

    clips: tuple[int, ...]
    fetched: Mapping[int, str] = field(default_factory=dict)
    missing: Mapping[int, list[Problem]] = field(default_factory=dict)


def gather(clips: Iterable[Clip], store: Path, pack: Packing, fetch: Fetch) -> Gathered:
    """Raises OSError, Stop, of the package alone."""
    found, fetched, missing = list[int](), dict[int, str](), dict[int, list[Problem]]()
    for clip in clips:
        if clip.state not in COLLECTED or not clip.key or not clip.sha256:
            missing[clip.id] = [Problem("export-never-here", {"state": str(clip.state)})]
            continue
        problem = _from_store(clip, store, pack)
        if problem is not None:
            come = fetch(clip.id, lambda pieces, clip=clip: _put(pack, clip, pieces))  # type: ignore[misc]
            if not isinstance(come, str):
                missing[clip.id] = [problem, *come]
                continue
            fetched[clip.id] = come
        found.append(clip.id)
    return Gathered(tuple(found), fetched, missing)


def _from_store(clip: Clip, store: Path, pack: Packing) -> Problem | None:
    """Why it was in vain."""
    if clip.state is ClipState.RELEASED:
        return Problem("export-released")
    try:
        _put(pack, clip, _blocks(store / "clips" / str(clip.key)))
    except NotEqual as error:
        return Problem("export-damaged-here", error.params)
    return None


def _put(pack: Packing, clip: Clip, pieces: Iterator[bytes]) -> None:
    pack.copy(f"{package.CLIPS}{clip.key}", compared(pieces, clip.size, clip.sha256))


def compared(pieces: Iterator[bytes], size: int, sha256: str) -> Iterator[bytes]:
    """The same, as long as there are no more than `size` bytes. Raises NotEqual."""
    done, digest = 0, hashlib.sha256()
    for piece in pieces:
        done += len(piece)
        if done > size:
            raise NotEqual(reason=f"more than {size} bytes")
        digest.update(piece)
        yield piece
    if digest.hexdigest() != sha256:
        raise NotEqual(reason=f"{done} bytes with SHA-256 {digest.hexdigest()}")


def _blocks(path: Path) -> Iterator[bytes]:
    """Raises NotEqual for whatever keeps it from being read."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(handle, "rb") as reader:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise NotEqual(reason="no file")
            while block := reader.read(_BLOCK):
                yield block
    except OSError as error:
        raise NotEqual(reason=error.strerror or str(error)) from error
