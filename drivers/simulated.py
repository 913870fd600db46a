"""A folder of the simulated rack as a recorder, with faults to order (see `drivers.faults`).

Listing, identity and reading are those of a real disk; only what a folder cannot have by itself is added:
a label and a file system id, and the ways in which recorders fail.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from typing import ClassVar

from agent.model import Condition, Device, DeviceKind, Identity, Port, Skipped, SourceClip
from drivers import faults
from drivers.base import Reader
from drivers.mass_storage import VolumeSession
from drivers.tree import Tree

_OWN_FILES = frozenset({faults.RECORDER_FILE, faults.FAULTS_FILE})


class Simulated:
    name: ClassVar[str] = "simulated"

    def __init__(self) -> None:
        self._pulled: set[object] = set()

    def match(self, device: Device) -> int | None:
        return 10 if device.kind == DeviceKind.FOLDER else None

    def open(self, device: Device, port: Port) -> "SimulatedSession":
        """Raises ConfigError when the folder's description or faults cannot be read."""
        with closing(Tree(port)) as tree:
            status = os.fstat(tree.root)
            # Moving a folder away and back changes its ctime: that is the next docking.
            life = faults.Life(port, (status.st_dev, status.st_ino, status.st_ctime_ns), self._pulled)
            life.check()
            about = faults.load(faults.Description, tree, faults.RECORDER_FILE, port)
            wanted = faults.load(faults.Faults, tree, faults.FAULTS_FILE, port)
        described = replace(
            device,
            fs_label=about.label or device.fs_label,
            fs_uuid=about.fs_uuid or device.fs_uuid,
            fs_type=about.fs_type or device.fs_type,
            model=about.model or device.model,
        )
        told = Condition(about.battery, about.free, about.total, about.clock_off)
        return SimulatedSession(VolumeSession(described, port, _OWN_FILES), wanted, life, told)


class SimulatedSession:
    def __init__(
        self, inner: VolumeSession, wanted: faults.Faults, life: faults.Life, told: Condition
    ) -> None:
        self._inner = inner
        self._told = told
        self._faults = wanted
        self._life = life

    def identity(self) -> Identity:
        self._life.check()
        return self._inner.identity()

    def clips(self) -> Iterator[SourceClip]:
        for clip in self._inner.clips():
            self._life.check()
            yield clip

    def skipped(self) -> list[Skipped]:
        return self._inner.skipped()

    def open(self, clip: SourceClip) -> Reader:
        self._life.check()
        reader: Reader = self._inner.open(clip)
        if letters := self._faults.files.get(clip.path):
            path = self._life.port.path / clip.path
            reader = faults.FaultyReader(reader, path, letters, self._faults.block, self._life)
        return _Attached(reader, self._life)

    def erase(self, files: Sequence[tuple[str, int, int]]) -> Sequence[tuple[str, str]]:
        self._life.check()
        return self._inner.erase(files)

    def condition(self) -> Condition:
        """As described: a folder's room is the station's own."""
        self._life.check()
        return self._told

    def close(self) -> None:
        self._life.closed.set()
        self._inner.close()


class _Attached:
    """A folder that was moved away can still be read through an open descriptor; a pulled recorder cannot."""

    def __init__(self, inner: Reader, life: faults.Life) -> None:
        self._inner = inner
        self._life = life

    def read_at(self, buffer: memoryview, offset: int) -> int:
        self._life.check()
        return self._inner.read_at(buffer, offset)

    def ahead(self, offset: int, length: int) -> None:
        self._inner.ahead(offset, length)

    def stat(self) -> tuple[int, int]:
        self._life.check()
        return self._inner.stat()

    def close(self) -> None:
        self._inner.close()
