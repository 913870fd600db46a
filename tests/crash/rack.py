"""Recorders to dock under kills, and a rack that gives up a recorder as soon as the agent says it may go."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from agent.status.shape import StatusShape
from scripts.demo_rack import FOLDER, make_recorder, record
from tests.agent_process import Agent, order_faults

MIB = 1 << 20


@dataclass(frozen=True)
class Contents:
    """What a recorder held when it was docked: digest of each file by its path, and which are important."""

    files: Mapping[str, str]
    empty: frozenset[str]
    important: frozenset[str]

    def clips(self) -> Counter[str]:
        """How often each content must arrive: once, whatever the number of its names; each empty file."""
        full = {digest for path, digest in self.files.items() if path not in self.empty}
        return Counter(full) + Counter(self.files[path] for path in self.empty)


def _small(path: Path, number: str, seed: int) -> None:
    files = make_recorder(path, number=number, clips=60, size=12_000, seed=seed)
    _copy_as(path, files[10], f"{number}_000001_20260301080000_0901.mp4")
    _copy_as(path, files[11], f"{number}_000001_20260301080000_0902_IMP.mp4")
    (path / FOLDER / f"{number}_000001_20260301080000_0903.mp4").touch()
    (path / FOLDER / f"{number}_000001_20260301080000_0904.mp4").touch()
    order_faults(path, files[::12], "R")


def _large(path: Path, number: str, seed: int) -> None:
    files = make_recorder(path, number=number, clips=2, size=17 * MIB + 4321, seed=seed)
    record(path, [3, 10, 11], number=number, officer="000001", size=150_000, seed=seed)
    order_faults(path, files, "R")


def _mixed(path: Path, number: str, seed: int) -> None:
    """One content of several parts has two names."""
    files = make_recorder(path, number=number, clips=1, size=20 * MIB, seed=seed)
    record(path, range(2, 22), number=number, officer="000001", size=40_000, seed=seed)
    _copy_as(path, files[0], f"{number}_000001_20260301080000_0901_IMP.mp4")
    (path / FOLDER / f"{number}_000001_20260301080000_0902.mp4").touch()


def mixed_load(path: Path, number: str, seed: int) -> None:
    """Many small clips, some important, an empty one and one of a byte; of the large ones each recorder has
    another: exactly a part, a byte more, several parts."""
    make_recorder(path, number=number, clips=12, size=100_000, seed=seed)
    rng = Random(f"{seed}/{number}/load")
    large = (8 * MIB, 8 * MIB + 1, 20 * MIB)
    for at, size in enumerate((0, 1, large[int(number) % len(large)], rng.choice(large)), start=901):
        name = f"{number}_000001_20260301080000_{at:04}{rng.choice(('', '_IMP'))}.mp4"
        (path / FOLDER / name).write_bytes(rng.randbytes(size))


#: Makes what a recorder of that number holds, at a path.
Kind = Callable[[Path, str, int], None]
KINDS: Sequence[Kind] = (_small, _large, _mixed, _large)


def _copy_as(path: Path, file: Path, name: str) -> None:
    shutil.copyfile(path / file, path / FOLDER / name)


@dataclass
class Rack:
    """Slots that are never empty while recorders are to come. Every recorder is docked once: as soon as
    its slot says `collected` it is gone for good, as if the officer had erased it at home."""

    agent: Agent
    slots: int
    seed: int
    kinds: Sequence[Kind] = KINDS
    docked: dict[str, str] = field(default_factory=dict)  # slot -> recorder
    contents: dict[str, Contents] = field(default_factory=dict)  # of every recorder there ever was

    def fill(self) -> None:
        for place in range(self.slots):
            if (slot := f"S{place + 1}") not in self.docked:
                self._dock(slot, len(self.contents))

    def take_what_is_collected(self, status: StatusShape) -> None:
        for shown in status["slots"]:
            slot = shown["slot"]
            recorder = self.docked.get(slot)
            if recorder and shown["state"] == "collected" and shown["recorder"] == recorder:
                self.agent.pull(slot)
                shutil.rmtree(self.agent.shelf / slot)
                del self.docked[slot]

    def _dock(self, slot: str, index: int) -> None:
        number = f"{index + 1:07}"
        path = self.agent.shelf / number
        self.kinds[index % len(self.kinds)](path, number, self.seed)
        self.contents[number] = contents(path)
        self.agent.dock(number, slot)
        self.docked[slot] = number


def contents(recorder: Path) -> Contents:
    found = {path.relative_to(recorder).as_posix(): path for path in clip_files(recorder)}
    return Contents(
        files={name: digest(path) for name, path in found.items()},
        empty=frozenset(name for name, path in found.items() if path.stat().st_size == 0),
        important=frozenset(name for name in found if "IMP" in name),
    )


def clip_files(folder: Path) -> Iterator[Path]:
    """Every file below that is neither hidden nor a JSON document: no clip of ours is one."""
    for path in folder.rglob("*"):
        if path.is_file() and not path.name.startswith(".") and path.suffix != ".json":
            yield path


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
