"""The reader of the kernel's write log, against logs that are made here, entry by entry."""

import struct
from pathlib import Path
from random import Random

import pytest

from tests.vm.dm_log import BadLog, Boundary, Entry, Flag, Replay, boundaries, entries

SECTOR = 512
DISK = 16  # sectors
Written = tuple[Flag, int, bytes]  # flags, sector, data or the text of a mark

WRITE, FLUSH, FUA = Flag(0), Flag.FLUSH, Flag.FUA


def sectors(letter: str, count: int = 1) -> bytes:
    return letter.encode() * SECTOR * count


def write(path: Path, *written: Written, sector: int = SECTOR) -> Path:
    """As drivers/md/dm-log-writes.c lays it out."""
    out = struct.pack("<QQQI", 0x6A736677736872, 1, len(written), sector).ljust(sector, b"\0")
    for flags, at, data in written:
        mark = bool(flags & Flag.MARK)
        length = 0 if mark else len(data) // sector
        head = struct.pack("<QQQQ", at, length, flags, len(data) if mark else 0)
        out += (head + data if mark else head).ljust(sector, b"\0")
        out += b"" if mark or flags & Flag.DISCARD else data
    path.write_bytes(out)
    return path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "base"
    path.write_bytes(sectors(".", DISK))
    return path


def seen(image: Path) -> str:
    """A letter for each sector."""
    data = image.read_bytes()
    assert len(data) == DISK * SECTOR
    return "".join(chr(data[at] or ord("0")) for at in range(0, len(data), SECTOR))


def test_every_entry_is_read_with_what_it_carries(tmp_path: Path) -> None:
    log = write(
        tmp_path / "log",
        (WRITE | Flag.METADATA, 3, sectors("a", 2)),
        (Flag.MARK, 0, b"said-0"),
        (FLUSH, 0, b""),
        (Flag.DISCARD, 8, sectors("x", 4)),
        (FUA, 1, sectors("b")),
    )
    assert entries(log) == [
        Entry(0, Flag.METADATA, 3 * SECTOR, 2 * SECTOR, 2 * SECTOR),
        Entry(1, Flag.MARK, 0, 0, 5 * SECTOR, "said-0"),
        Entry(2, FLUSH, 0, 0, 6 * SECTOR),
        Entry(3, Flag.DISCARD, 8 * SECTOR, 4 * SECTOR, 7 * SECTOR),
        Entry(4, FUA, SECTOR, SECTOR, 8 * SECTOR),
    ]


def test_sectors_of_another_size_are_counted_in_them(tmp_path: Path) -> None:
    log = write(tmp_path / "log", (WRITE, 2, sectors("a", 8)), (FLUSH, 0, b""), sector=4096)
    first, second = entries(log)
    assert (first.offset, first.length, first.at) == (8192, 4096, 8192)
    assert second.flags == FLUSH


def test_the_disk_at_each_boundary_is_what_was_durable_then(tmp_path: Path, base: Path) -> None:
    log = write(
        tmp_path / "log",
        (WRITE, 0, sectors("a")),
        (WRITE, 1, sectors("b", 2)),
        (FLUSH, 0, b""),
        (Flag.MARK, 0, b"said"),
        (FUA, 2, sectors("c")),
        (WRITE, 0, sectors("d")),
        (Flag.DISCARD, 8, sectors("x", 2)),
        (FLUSH, 0, b""),
        (FLUSH, 0, b""),  # nothing new
        (WRITE, 15, sectors("e")),  # never flushed
    )
    found = boundaries(entries(log))
    assert found == [Boundary(2, 0), Boundary(5, 1), Boundary(7, 1)]
    replay = Replay(base, log, tmp_path / "disk")
    disks = [seen(replay.to(boundary, tmp_path / "image")) for boundary in found]
    assert disks == ["abb.............", "abc.............", "dbc.....00......"]


def test_a_flush_that_carries_data_makes_durable_what_was_before_it(tmp_path: Path, base: Path) -> None:
    both = write(tmp_path / "both", (WRITE, 0, sectors("a")), (FLUSH | FUA, 1, sectors("b")))
    assert boundaries(entries(both)) == [Boundary(1, 0), Boundary(2, 0)]
    flush = write(tmp_path / "flush", (WRITE, 0, sectors("a")), (FLUSH, 1, sectors("b")))
    assert boundaries(entries(flush)) == [Boundary(1, 0)]


def test_beyond_a_boundary_any_of_what_was_on_its_way_may_be_there(tmp_path: Path, base: Path) -> None:
    log = write(
        tmp_path / "log",
        (WRITE, 0, sectors("a")),
        (FLUSH, 0, b""),
        (WRITE, 1, sectors("b")),
        (WRITE, 2, sectors("c")),
        (FLUSH, 0, b""),
        (WRITE, 4, sectors("e")),
        (FLUSH, 0, b""),
    )
    first, *_ = boundaries(entries(log))
    disks = set()
    for seed in range(40):
        replay = Replay(base, log, tmp_path / "disk")
        disks.add(seen(replay.beyond(first, tmp_path / "image", Random(seed)))[:5])
    assert disks == {"a....", "ab...", "a.c..", "abc.."}


def test_a_disk_that_lies_loses_what_it_said_it_had(tmp_path: Path, base: Path) -> None:
    log = write(tmp_path / "log", (WRITE, 0, sectors("a")), (WRITE, 1, sectors("b")), (FLUSH, 0, b""))
    (only,) = boundaries(entries(log))
    replay = Replay(base, log, tmp_path / "disk", lost=lambda entry: entry.number == 0)
    assert seen(replay.to(only, tmp_path / "image")) == ".b.............."


def test_holes_stay_holes(tmp_path: Path) -> None:
    base = tmp_path / "base"
    with base.open("wb") as file:
        file.truncate(64 << 20)
    log = write(tmp_path / "log", (FUA, 1000, sectors("a")))
    replay = Replay(base, log, tmp_path / "disk")
    image = replay.to(Boundary(1, 0), tmp_path / "image")
    assert image.stat().st_size == 64 << 20
    assert image.stat().st_blocks * 512 < 1 << 20
    with image.open("rb") as file:
        file.seek(1000 * SECTOR)
        assert file.read(SECTOR) == sectors("a")


def test_what_is_no_log_or_is_cut_short_is_refused(tmp_path: Path) -> None:
    log = write(tmp_path / "log", (WRITE, 0, sectors("a")), (FUA, 1, sectors("b", 3)))
    whole = log.read_bytes()
    for cut in (0, 20, SECTOR, 3 * SECTOR, len(whole) - 1):
        log.write_bytes(whole[:cut])
        with pytest.raises(BadLog):
            entries(log)
    log.write_bytes(bytes(len(whole)))
    with pytest.raises(BadLog, match="no log"):
        entries(log)
