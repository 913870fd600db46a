"""Clips as they lie in the store, ready to be carried, and a station that carries nothing else."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import yaml

from agent.model import part_size_for
from scripts.benchmarks import clients
from scripts.benchmarks.carry import Clip, Told

DAY = "0000001/2026-01-15"  # the folder of their keys
_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Cargo:
    file: Path
    clip: Clip


def noise(file: Path, size: int) -> Cargo:
    with file.open("xb") as out:
        for begin in range(0, size, _BLOCK):
            out.write(os.urandom(min(_BLOCK, size - begin)))
    return _described(file)


def holes(file: Path, size: int) -> Cargo:
    """A file of zeros that takes no room."""
    with file.open("xb") as out:
        out.truncate(size)
    return _described(file)


def _described(file: Path) -> Cargo:
    size = file.stat().st_size
    part_size = part_size_for(size)
    whole, parts = hashlib.sha256(), list[str]()
    with file.open("rb") as data:
        while part := data.read(part_size):
            whole.update(part)
            parts.append(hashlib.sha256(part).hexdigest())
    digest = whole.hexdigest()
    key = f"{DAY}/{file.stem}.{digest[:16]}.mp4"
    return Cargo(file, {"key": key, "size": size, "part_size": part_size, "parts": parts, "sha256": digest})


def carried(
    folder: Path, cargo: Sequence[Cargo], target: Mapping[str, object], upload: Mapping[str, object]
) -> Told:
    """Let a station below `folder` bring it all to `target`. Both are sections of its configuration."""
    store = folder / "store"
    for one in cargo:
        place = store / "clips" / one.clip["key"]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.hardlink_to(one.file)
    settings = {"store": {"path": str(store)}, "targets": {"centre": dict(target)}, "upload": dict(upload)}
    (folder / "station.yaml").write_text(yaml.safe_dump(settings))
    (folder / "clips.json").write_text(json.dumps([one.clip for one in cargo]))
    return cast(Told, json.loads(clients.ours(folder)))
