"""A station as a test orders it: a copy of the image with IT's files on its boot partition, and a machine."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.vm.credentials import CENTRE
from tests.vm.disk import Disk
from tests.vm.machine import SLOTS, Hardware, Machine

IMAGE = "RECORDER_STATION_IMAGE"  # in the environment: the image to test, see scripts/test
GIB = 1 << 30

#: What IT fills in: named slots, and central storage on a share.
CONFIG: dict[str, Any] = {
    "station": {"name": "vm", "language": "en"},
    "store": {"reserve": "64 MiB"},
    "dock": {
        "slots": {name: {"port": port.id_path} for name, port in SLOTS.items()},
        # An emulated machine beside others takes a minute over sixteen mounts, and none of them is stuck.
        "stuck_after": "15 min",
    },
    "targets": {"centre": {"kind": "folder", "path": CENTRE}},
}


@dataclass
class Order:
    """`config`: station.yaml, as text, bytes or a dict; None leaves the image's own. `files`: more for the
    boot partition. `size`: of the disk that the image was written to, in bytes."""

    config: Mapping[str, Any] | str | bytes | None = field(default_factory=lambda: CONFIG)
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    hardware: Hardware = field(default_factory=Hardware)
    size: int = 4 * GIB
    share: bool = True  # central storage outside the guest, at /mnt/centre
    prepare: Callable[[Path], None] = lambda disk: None  # what else is done to the disk


def image() -> Path:
    return Path(os.environ[IMAGE])


def station(folder: Path, order: Order | None = None) -> Machine:
    """A machine that is off, in `folder` (which must not exist). Central storage is its `centre`."""
    order = order or Order()
    folder.mkdir(parents=True)
    disk = Disk.copy(image(), folder / "disk.img", order.size)
    if order.config is not None:
        config = order.config
        disk.put("station.yaml", config if isinstance(config, str | bytes) else yaml.safe_dump(config))
    for name, content in order.files.items():
        disk.put(name, content)
    order.prepare(disk.path)
    return Machine(folder, disk.path, order.hardware, folder / "centre" if order.share else None)
