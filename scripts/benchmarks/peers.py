"""What the station is compared with, as it stands on every machine."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from scripts.benchmarks.machine import Cold


def floor(source: Path, cold: Cold) -> Callable[[Path], float]:
    """The least that a verified copy can cost: each file copied and synced, then read back from the
    disk. Nothing is hashed or compared. Emptying the cache in between is not counted."""
    files = sorted(path for path in source.rglob("*") if path.is_file() and not path.name.startswith("."))

    def run(folder: Path) -> float:
        copies = [folder / str(number) for number in range(len(files))]
        began = time.perf_counter()
        for file, copy in zip(files, copies, strict=True):
            _dd(f"if={file}", f"of={copy}", "conv=fsync")
        copied = time.perf_counter() - began
        cold.drop()
        began = time.perf_counter()
        for copy in copies:
            _dd(f"if={copy}", "of=/dev/null")
        return copied + time.perf_counter() - began

    return run


def copy_and_sums(source: Path, cold: Cold) -> Callable[[Path], float]:
    """By hand: cp, sync, and the digests of both sides, read from the disk."""

    def run(folder: Path) -> float:
        copy = folder / "copy"
        began = time.perf_counter()
        subprocess.run(["cp", "-r", source, copy], check=True)
        subprocess.run(["sync"], check=True)
        copied = time.perf_counter() - began
        cold.drop()
        began = time.perf_counter()
        sums = ["find", str(source), str(copy), "-type", "f", "-exec", "sha256sum", "{}", "+"]
        subprocess.run(sums, check=True, stdout=subprocess.DEVNULL)
        return copied + time.perf_counter() - began

    return run


def _dd(*arguments: str) -> None:
    subprocess.run(["dd", "bs=1M", "status=none", *arguments], check=True)
