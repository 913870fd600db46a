"""The kinds of target that the contract suite runs over, each with a way round it to what it keeps."""

import json
from pathlib import Path
from typing import Any, Protocol

from agent.model import StoredClip
from agent.upload.targets.base import Target
from agent.upload.targets.folder import FolderTarget
from tests.uploading import KEY, PART, clip_of

# Fixtures. Where things lie under names of ours it is seen what others laid there, and what is to be swept;
# a bare server names everything itself, and each transfer finds only what it made.
NAMED = ["folder_kit", "s3_kit", "weed_tus_kit"]
BARE = ["tus_node_kit", "tus_resumable_kit"]
KITS = [*NAMED, *BARE]


class Kit(Protocol):
    """An empty store of its own."""

    part: int  # bytes of a part: as small as the server takes them
    compares_parts: bool  # a position tells even of parts whose content was altered
    #: The last byte makes the object. What was altered in the transfer before, only reading back tells.
    appends: bool

    def target(self) -> Target:
        """A new one, as after a restart of the station."""
        ...

    def clip(self, data: bytes, key: str = KEY) -> StoredClip: ...
    def object(self, clip: StoredClip) -> bytes | None: ...
    def manifest(self, clip: StoredClip) -> Any: ...
    def place(self, clip: StoredClip, data: bytes) -> None:
        """Put an object under the clip's key, or other bytes into the one that is there."""
        ...

    def remove(self, clip: StoredClip, *, manifest: bool) -> None: ...
    def transfer(self, token: str) -> bytes | None:
        """What it holds of a transfer under way; None when it holds nothing."""
        ...

    def set_transfer(self, token: str, data: bytes | None) -> None: ...


class FolderKit:
    part = PART
    compares_parts = True
    appends = False

    def __init__(self, root: Path) -> None:
        self.root = root / "share"
        self.root.mkdir()
        self._first_contact = True

    def target(self) -> Target:
        made = FolderTarget("centre", self.root, first_contact=self._first_contact)
        self._first_contact = False
        if not any(self.root.iterdir()):
            made.place()
        return made

    def clip(self, data: bytes, key: str = KEY) -> StoredClip:
        return clip_of(data, key)

    def object(self, clip: StoredClip) -> bytes | None:
        return _read(self.root / "clips" / clip.key)

    def manifest(self, clip: StoredClip) -> Any:
        return json.loads((self.root / "clips" / f"{clip.key}.json").read_bytes())

    def place(self, clip: StoredClip, data: bytes) -> None:
        path = self.root / "clips" / clip.key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def remove(self, clip: StoredClip, *, manifest: bool) -> None:
        (self.root / "clips" / (clip.key + (".json" if manifest else ""))).unlink()

    def transfer(self, token: str) -> bytes | None:
        return _read(self.root / "incoming" / f"{token}.part")

    def set_transfer(self, token: str, data: bytes | None) -> None:
        path = self.root / "incoming" / f"{token}.part"
        path.unlink() if data is None else path.write_bytes(data)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.exists() else None
