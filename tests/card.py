"""A recorder's card as a driver gets it: a folder, the device that it is said to be, and a port."""

from dataclasses import dataclass, replace
from pathlib import Path

from agent.model import Device, DeviceKind


@dataclass
class Plug:
    """A port whose recorder is `there` for so many more questions."""

    path: Path
    empty: frozenset[str] = frozenset()
    there: int = 1 << 30
    beats: int = 0

    def present(self) -> bool:
        self.there -= 1
        return self.there >= 0

    def beat(self) -> None:
        self.beats += 1


def disk(**about: str) -> Device:
    plain = Device("/dev/sdb1", DeviceKind.VOLUME, "usb-0:1", fs_type="vfat", fs_uuid="1234-ABCD")
    return replace(plain, **about)  # type: ignore[arg-type]


def put(root: Path, path: str, content: bytes = b"clip") -> Path:
    file = root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    return file
