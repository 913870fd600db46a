"""What the kernel tells in small files. A file that is not there, or cannot be read, says nothing."""

from pathlib import Path

SYSFS = Path("/sys")


def text(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return None


def number(file: Path, base: int = 10) -> int | None:
    said = text(file)
    try:
        return None if said is None else int(said, base)
    except ValueError:
        return None
