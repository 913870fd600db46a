"""Recorders to measure with: files of one size whose names a recorder could have given, all noise."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

_FIRST = datetime(2026, 1, 15, 8, 0, tzinfo=UTC)
_BLOCK = 1 << 20


def make_recorder(path: Path, *, number: int, files: int, size: int) -> Path:
    """A recorder's files below `path`; `size` in bytes, of each."""
    media = path / "DCIM" / "100MEDIA"
    media.mkdir(parents=True)
    for sequence in range(files):
        at = _FIRST + timedelta(minutes=sequence)
        file = media / f"{number:07}_000001_{at:%Y%m%d%H%M%S}_{sequence:05}.mp4"
        with file.open("xb") as out:
            for begin in range(0, size, _BLOCK):
                out.write(os.urandom(min(_BLOCK, size - begin)))
        os.utime(file, (at.timestamp(), at.timestamp()))
    return path


def make_racked(path: Path, *, number: int, files: int, size: int) -> Path:
    """The same with the description by which a simulated rack takes it for a card of its own."""
    make_recorder(path, number=number, files=files, size=size)
    about = f"label: '{number:07}'\nfs_uuid: {number:04X}-BE7C\nfs_type: ext4\n"
    (path / ".recorder.yaml").write_text(about)
    return path
