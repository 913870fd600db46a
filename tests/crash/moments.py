"""When to kill. Some moments are chosen by chance; others are waited for, and held by SIGSTOP until it is
certain that they are there."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from agent.catalog.home import catalog_path
from agent.status.shape import StatusShape
from tests.agent_process import Agent

Come = Callable[[], bool]
_LONGEST = 2.0  # seconds of work before a kill that is left to chance
_DIGEST = 32  # bytes of one part in a journal


@dataclass
class Station:
    """What can be seen of an agent from outside; `status` is what it said last."""

    agent: Agent
    status: StatusShape | None = None
    began: float = field(default_factory=time.monotonic)

    def catalog_is_open(self) -> bool:
        catalog = str(catalog_path(self.agent.store))
        return any(_target(fd) == catalog for fd in _listed(Path(f"/proc/{self.agent.pid}/fd")))

    def copies(self) -> set[Path]:
        return {path for path in _listed(self.agent.store / "incoming") if path.suffix == ".part"}

    def whole_parts(self) -> dict[Path, int]:
        journals = (path for path in _listed(self.agent.store / "incoming") if path.suffix == ".parts")
        return {path: _size(path) // _DIGEST for path in journals}

    def uploads(self) -> set[Path]:
        return {path for path in _listed(self.agent.centre / "incoming") if path.suffix == ".part"}

    def confirmed(self) -> int:
        return self.status["clips"]["confirmed"] if self.status else 0

    def ready(self) -> bool:
        return self.status is not None and self.status["ready"]


def while_starting(station: Station, rng: Random) -> Come:
    """The catalog is open: what the last kill left is being settled."""
    return _after(station.catalog_is_open, rng.uniform(0, 0.3))


def some_time_later(station: Station, rng: Random) -> Come:
    return _after(station.ready, rng.uniform(0, _LONGEST))


def while_copying(station: Station, rng: Random) -> Come:
    return lambda: any(_size(copy) for copy in station.copies())


def after_a_whole_part(station: Station, rng: Random) -> Come:
    """More of a copy is there to be believed at the next start than there was before."""
    seen: dict[Path, int] = {}

    def come() -> bool:
        return any(parts > seen.setdefault(path, parts) for path, parts in station.whole_parts().items())

    return come


def as_a_clip_gets_its_name(station: Station, rng: Random) -> Come:
    """A copy has left the folder of copies, and that it is stored is most likely not committed yet."""
    return _one_left(station.copies)


def while_uploading(station: Station, rng: Random) -> Come:
    return lambda: any(_size(upload) for upload in station.uploads())


def as_an_upload_is_published(station: Station, rng: Random) -> Come:
    return _one_left(station.uploads)


def as_a_clip_is_confirmed(station: Station, rng: Random) -> Come:
    """Right after the status has told of one more."""
    before = station.confirmed()
    return lambda: station.ready() and station.confirmed() > before


Moment = Callable[[Station, Random], Come]
MOMENTS: tuple[Moment, ...] = (
    while_starting,
    some_time_later,
    while_copying,
    after_a_whole_part,
    as_a_clip_gets_its_name,
    while_uploading,
    as_an_upload_is_published,
    as_a_clip_is_confirmed,
)


def _after(condition: Come, seconds: float) -> Come:
    since: list[float] = []

    def come() -> bool:
        if not since and condition():
            since.append(time.monotonic())
        return bool(since) and time.monotonic() - since[0] >= seconds

    return come


def _one_left(files: Callable[[], set[Path]]) -> Come:
    seen: set[Path] = set()

    def come() -> bool:
        there = files()
        seen.update(there)
        return there < seen

    return come


def _listed(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except FileNotFoundError:
        return []


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except FileNotFoundError:
        return ""
