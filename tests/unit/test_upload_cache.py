"""A clip on its way to a target passes through the machine's memory, and does not fill it."""

import ctypes
import mmap
import os
from pathlib import Path

import pytest

from tests.uploading import Station, content

PART = 8 << 20  # as of real clips: the kernel gives up whole folios only, each up to 2 MiB


def test_a_clip_that_was_sent_leaves_the_cache_to_others(tmp_path: Path) -> None:
    station = Station(tmp_path)
    clip = station.store("long.mp4", content(3 * PART), part_size=PART)
    file = station.path(station.key(clip))
    with file.open("rb") as data:
        os.fsync(data.fileno())  # as ingest leaves it: only what is on the disk can be given up
        os.posix_fadvise(data.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if cached(file):
            pytest.skip("this file system keeps its files in memory")
        while data.read(PART):
            pass
    assert cached(file) > PART
    station.run()
    assert station.state(clip) == "confirmed"
    assert cached(file) < PART
    station.close()


def cached(file: Path) -> int:
    """How many bytes of it lie in the page cache: mincore(2)."""
    size = file.stat().st_size
    pages = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
    libc = ctypes.CDLL(None, use_errno=True)
    with file.open("rb") as data, mmap.mmap(data.fileno(), size, access=mmap.ACCESS_COPY) as mapped:
        begin = ctypes.c_char.from_buffer(mapped)
        try:
            failed = libc.mincore(ctypes.byref(begin), ctypes.c_size_t(size), pages)
        finally:
            del begin  # a mapping that is looked at cannot be closed
    assert not failed, os.strerror(ctypes.get_errno())
    return sum(page & 1 for page in pages) * mmap.PAGESIZE
