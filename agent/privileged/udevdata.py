"""udev's database: what udevd, as root, wrote down of a device. Nobody else can write there.

Read here directly, since the helper keeps to the standard library. The format is that of systemd 247 and
later; `Q:` are the tags that a device has now, `G:` all that it ever had.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

DATA = Path("/run/udev/data")  # one file for each device that udev has examined


@dataclass(frozen=True, slots=True)
class Entry:
    properties: Mapping[str, str]
    tags: frozenset[str]


def entry(sysfs: Path, data: Path = DATA) -> Entry | None:
    """Of a device with a node (`sysfs` is its folder). None: gone, or not examined yet."""
    try:
        number = (sysfs / "dev").read_text().strip()
        kind = "b" if (sysfs / "subsystem").resolve().name == "block" else "c"
        return parse((data / f"{kind}{number}").read_bytes())
    except OSError:
        return None


def parse(text: bytes) -> Entry:
    """Nothing that we need is ever outside UTF-8: udev escapes it."""
    properties: dict[str, str] = {}
    tags: dict[str, set[str]] = {"G": set(), "Q": set()}
    versioned = False
    for line in text.decode("utf-8", "replace").split("\n"):
        kind, _, value = line.partition(":")
        if kind == "E":
            name, _, content = value.partition("=")
            properties[name] = content
        elif kind in tags:
            tags[kind].add(value)
        elif kind == "V":
            versioned = True
    return Entry(properties, frozenset(tags["Q"] if versioned else tags["G"]))
