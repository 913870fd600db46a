"""A disk that is full soon, for tests that say `require("loop", "ext4")`."""

import os
from pathlib import Path
from subprocess import run


class small_disk:  # noqa: N801 - used like a function
    """A real small ext4 on a loop device."""

    def __init__(self, tmp_path: Path, size: int) -> None:
        self.image, self.mount = tmp_path / "disk.img", tmp_path / "disk"
        self.image.write_bytes(b"")
        os.truncate(self.image, size)

    def __enter__(self) -> Path:
        self.mount.mkdir()
        run(["mkfs.ext4", "-q", "-F", self.image], check=True)
        run(["mount", "-o", "loop", self.image, self.mount], check=True)
        return self.mount

    def __exit__(self, *_: object) -> None:
        run(["umount", self.mount], check=True)
