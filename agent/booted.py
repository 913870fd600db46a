"""What the boot of a station image left for the agent to know. On any other machine: nothing.

Ground floor. `agent.image` writes these files as root before the agent starts; the agent only reads them.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

from agent.model import Problem

#: There on a station image and nowhere else.
IMAGE = Path("/usr/lib/recorder-station/image")
#: Of this boot: `problems.json`, and `data-problem` with one word when no data disk can be used.
BOOT = Path("/run/recorder-station-boot")
MOUNTS = Path("/proc/self/mountinfo")
MACHINE_ID = Path("/etc/machine-id")
#: By which the station is known, made on its data disk at the first boot.
CERTIFICATE = Path("/data/identity/station.crt")

#: Where an agent without a data disk keeps its catalog of nothing: the status must work.
STAND_IN = Path("/run/recorder-station/without-data-disk")

#: What the initramfs and the boot step may say of the data disk.
DATA_WORDS = ("missing", "damaged", "read-only", "two")
#: File systems that forget everything at the next boot.
VOLATILE = frozenset({"tmpfs", "ramfs", "rootfs", "overlay"})
_NO_STORE = VOLATILE | {"squashfs"}  # the image's own root: a `store.path` that points beside the data disk
#: On an image these lie in memory, with the mount points of shares below them.
_IN_MEMORY = (Path("/run"), Path("/tmp"), Path("/var"), Path("/mnt"), Path("/srv"))
_LARGEST = 1 << 20  # bytes


def on_image() -> bool:
    return IMAGE.exists()


def data_problem(store: Path) -> str:
    """Why clips cannot be kept, one of DATA_WORDS; "" when they can. `store` in memory counts as missing:
    a clip there would be called stored, and be gone after a power cut."""
    if not on_image():
        return ""
    try:
        word = (BOOT / "data-problem").read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        word = ""
    except OSError:
        word = "damaged"
    if word:
        return word if word in DATA_WORDS else "damaged"
    return "missing" if _file_system(store) in _NO_STORE else ""


def machine_id() -> str:
    """By which a station made from an image is known, as its data disk keeps it; "" on any other machine."""
    return MACHINE_ID.read_text(encoding="ascii", errors="replace").strip() if on_image() else ""


def not_central() -> tuple[Path, ...]:
    """Folders on whose file systems no central storage lies: there a share is not mounted."""
    return tuple(path for path in _IN_MEMORY if path.exists()) if on_image() else ()


def problems() -> list[Problem]:
    """What went wrong in the boot step, as it wrote it down."""
    if not on_image():
        return []
    try:
        with (BOOT / "problems.json").open("rb") as file:
            found = list(_problems(json.loads(file.read(_LARGEST))))
    except (OSError, ValueError, TypeError, KeyError) as error:
        return [Problem("boot-step-failed", {"part": "start", "error": str(error) or repr(error)})]
    return found


def _problems(listed: list[dict[str, object]]) -> Iterator[Problem]:
    for entry in listed:
        params = entry["params"]
        if not isinstance(params, dict):
            raise TypeError("params are no object")
        yield Problem(str(entry["key"]), params)


def _file_system(path: Path) -> str:
    """The kind of file system that `path`, or what exists of the way to it, lies on; "" when unknown."""
    there = next(folder for folder in (path, *path.parents) if folder.exists())
    device = there.stat().st_dev
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        before, _, after = line.partition(" - ")
        if before.split()[2] == number:
            return after.split()[0]
    return ""
