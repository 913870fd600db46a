"""Nothing is removed from a card on which removing one file would free what belongs to another."""

import errno
import struct
import subprocess
from pathlib import Path

import pytest

from agent.privileged.checking import check
from tests.here import require
from tests.vm.exfat import ExFat

_FREE, _END = 0, 0x0FFFFFFF


class Fat:
    """A FAT32 image of 40 MiB with `a.mp4`, `b.mp4` and a long name, edited byte by byte."""

    def __init__(self, folder: Path) -> None:
        self.image = folder / "fat.img"
        with self.image.open("wb") as empty:
            empty.truncate(40 << 20)
        _run("mkfs.fat", "-F", "32", "-s", "1", self.image)
        for name in ("a.mp4", "b.mp4", "a long name.mp4"):
            (folder / name).write_bytes(name.encode() * 1000)
            _run("mcopy", "-i", self.image, folder / name, f"::{name}")
        self.data = bytearray(self.image.read_bytes())
        reserved, self.copies, self.length = (
            *struct.unpack_from("<HB", self.data, 14),
            struct.unpack_from("<I", self.data, 36)[0] * 512,
        )
        self.fat = reserved * 512

    def first(self, name: bytes) -> int:
        """The first cluster of a file."""
        entry = self.data.index(name)
        high, low = (
            struct.unpack_from("<H", self.data, entry + 20),
            struct.unpack_from("<H", self.data, entry + 26),
        )
        return int(high[0]) << 16 | int(low[0])

    def next(self, cluster: int) -> int:
        return int(struct.unpack_from("<I", self.data, self.fat + 4 * cluster)[0])

    def point(self, cluster: int, to: int) -> None:
        for copy in range(self.copies):
            struct.pack_into("<I", self.data, self.fat + copy * self.length + 4 * cluster, to)

    def free(self, cluster: int, *copies: int) -> None:
        """Its chain, as these copies of the table tell it."""
        while 2 <= cluster < 0x0FFFFFF8:
            after = self.next(cluster)
            for copy in copies:
                struct.pack_into("<I", self.data, self.fat + copy * self.length + 4 * cluster, _FREE)
            cluster = after

    def judged(self) -> int:
        """The errno; 0 when it is whole."""
        self.image.write_bytes(self.data)
        judged = judgement(self.image, "vfat")
        assert self.image.read_bytes() == self.data
        return judged


def _run(*command: object) -> None:
    subprocess.run([str(part) for part in command], check=True, capture_output=True)


def judgement(image: Path, fs_type: str) -> int:
    try:
        check(image, fs_type)
    except OSError as e:
        return e.errno or -1
    return 0


@pytest.fixture
def fat(tmp_path: Path) -> Fat:
    require("fat-tools")
    return Fat(tmp_path)


A, B, LONG = b"A       MP4", b"B       MP4", b"ALONGN~1MP4"


def test_a_card_that_is_whole_may_be_written_to(fat: Fat) -> None:
    assert fat.judged() == 0


def test_a_chain_that_runs_on_into_a_file_that_nobody_collected_is_refused(fat: Fat) -> None:
    last = fat.first(A)
    while (after := fat.next(last)) < 0x0FFFFFF8:
        last = after
    fat.point(last, fat.first(B))
    assert fat.judged() == errno.EUCLEAN


def test_two_files_that_begin_with_the_same_cluster_are_refused(fat: Fat) -> None:
    struct.pack_into("<H", fat.data, fat.data.index(B) + 26, fat.first(A))
    assert fat.judged() == errno.EUCLEAN


def test_a_name_whose_clusters_are_free_is_refused(fat: Fat) -> None:
    """The recorder would give them to its next recording, and both would share them."""
    fat.point(fat.first(A), _FREE)
    assert fat.judged() == errno.EUCLEAN


def test_two_tables_that_differ_are_refused(fat: Fat) -> None:
    struct.pack_into("<I", fat.data, fat.fat + fat.length + 4 * fat.first(A), _END)
    assert fat.judged() == errno.EUCLEAN


def test_what_a_pull_in_the_middle_of_an_erasure_leaves_is_no_damage(fat: Fat) -> None:
    """The mark of a mount that was not ended, a name that went, its clusters that did not yet: else the list
    could not be finished at the next docking."""
    fat.data[65] |= 1
    fat.data[fat.data.index(A)] = 0xE5
    assert fat.judged() == 0


@pytest.mark.parametrize("copy", [0, 1])
def test_a_pull_between_the_two_tables_is_no_damage(fat: Fat, copy: int) -> None:
    """One of them has freed what was removed, the other has not yet."""
    first = fat.first(A)
    fat.data[fat.data.index(A)] = 0xE5
    fat.free(first, copy)
    fat.data[fat.fat + fat.length + 7] ^= 0x08  # and the mark of the mount, which the tables have, too
    assert fat.judged() == 0


def test_a_table_that_has_lost_what_a_name_needs_is_refused(fat: Fat) -> None:
    fat.free(fat.first(A), 0)
    assert fat.judged() == errno.EUCLEAN


def test_a_pull_in_the_middle_of_a_long_name_is_no_damage(fat: Fat) -> None:
    fat.data[fat.data.index(LONG)] = 0xE5
    assert fat.judged() == 0


def test_one_damage_among_what_is_harmless_is_refused(fat: Fat) -> None:
    fat.data[65] |= 1
    fat.data[fat.data.index(A)] = 0xE5
    fat.point(fat.first(B), fat.first(B))
    assert fat.judged() == errno.EUCLEAN


def test_what_is_no_fat_at_all_is_refused(tmp_path: Path) -> None:
    require("fat-tools")
    (tmp_path / "noise").write_bytes(bytes(range(256)) * 4096)
    assert judgement(tmp_path / "noise", "vfat") == errno.EUCLEAN


@pytest.fixture
def exfat(tmp_path: Path) -> Path:
    require("exfat-tools")
    image = tmp_path / "exfat.img"
    with image.open("wb") as empty:
        empty.truncate(40 << 20)
    _run("mkfs.exfat", image)
    source = tmp_path / "files"
    source.mkdir()
    for name in ("a.mp4", "b.mp4"):
        (source / name).write_bytes(name.encode() * 20_000)
    made = ExFat(image)
    made.add(source)
    made.close()
    return image


def test_an_exfat_card_is_whole_until_two_files_share_a_cluster(exfat: Path) -> None:
    assert judgement(exfat, "exfat") == 0
    data = bytearray(exfat.read_bytes())
    first, second = (at for at in range(0, len(data), 32) if data[at] == 0xC0 and data[at - 32] == 0x85)
    data[second + 20 : second + 24] = data[first + 20 : first + 24]
    start, total = second - 32, 0
    for at in range(start, start + (data[start + 1] + 1) * 32):
        if at - start not in (2, 3):
            total = (((total & 1) << 15) + (total >> 1) + data[at]) & 0xFFFF
    struct.pack_into("<H", data, start + 2, total)
    exfat.write_bytes(data)
    assert judgement(exfat, "exfat") == errno.EUCLEAN
    assert exfat.read_bytes() == data


@pytest.mark.parametrize("fs_type", ["ntfs", "", "iso9660"])
def test_what_nothing_here_can_check_is_refused(tmp_path: Path, fs_type: str) -> None:
    assert judgement(tmp_path, fs_type) == errno.EOPNOTSUPP
