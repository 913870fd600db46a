"""A package as one zip file: made as it goes, checked where it lies, and whatever is done to it is told."""

import io
import random
import resource
import shutil
import stat
import struct
import subprocess
import tracemalloc
import unicodedata
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.custody import box, package
from agent.custody.box import Broken
from agent.custody.evidence.packing import packing
from tests.exporting import Exporting, remade, run, wrong
from tests.here import require
from tests.unit.test_export_tampering import REMADE, TAMPERED


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A zip file as a station makes it, and its key."""
    made = Exporting(tmp_path_factory.mktemp("zip"))
    yield made.export("bag.zip"), made.vkey
    made.side.close()


def unpacked(path: Path, to: Path) -> Path:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(to)
    return to


def zipped(bag: Path, to: Path, how: int = zipfile.ZIP_STORED) -> Path:
    """As another program does it."""
    with zipfile.ZipFile(to, "w", how) as archive:
        for path, regular in box.walk(str(bag)):
            if regular:
                archive.write(bag / path, path)
            else:
                member = zipfile.ZipInfo(path)
                member.external_attr = (stat.S_IFLNK | 0o777) << 16
                archive.writestr(member, str((bag / path).readlink()))
    return to


def test_a_zip_is_whole_and_the_verifier_says_so_where_it_lies(
    whole: tuple[Path, str], tmp_path: Path
) -> None:
    path, key = whole
    assert wrong(path, key) == []
    assert list(path.parent.glob(".bag*")) == []
    done = run(path, "--key", key)
    assert (done.returncode, done.stderr) == (0, "")
    assert "结论：成立" in done.stdout
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {one.compress_type for one in archive.infolist()} == {zipfile.ZIP_STORED}
    assert wrong(unpacked(path, tmp_path / "bag"), key) == []


def test_a_program_that_is_not_ours_reads_it(whole: tuple[Path, str]) -> None:
    require("unzip")
    done = subprocess.run(["unzip", "-tqq", str(whole[0])], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("how", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_one_that_another_program_made_of_the_same_files_holds(
    whole: tuple[Path, str], tmp_path: Path, how: int
) -> None:
    bag = unpacked(whole[0], tmp_path / "bag")
    assert wrong(zipped(bag, tmp_path / "again.zip", how), whole[1]) == []
    stream = Unseekable()  # sizes follow what they are of, and folders are members
    with zipfile.ZipFile(stream, "w", how) as archive:
        for file in sorted(bag.rglob("*")):
            archive.write(file, str(file.relative_to(bag)) + ("/" if file.is_dir() else ""))
    (tmp_path / "stream.zip").write_bytes(stream.getvalue())
    assert wrong(tmp_path / "stream.zip", whole[1]) == []


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False

    def seek(self, *_: int) -> int:
        raise OSError("a pipe")

    def tell(self) -> int:
        raise OSError("a pipe")


def test_the_same_files_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        with packing(tmp_path / name) as pack:
            for path in ("b", "a/录像"):
                pack.put(path, path.encode())
            pack.finish()
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
def test_of_a_file_that_could_not_be_read_to_its_end_nothing_is_left(tmp_path: Path, name: str) -> None:
    """Not a byte: what follows lies where it would have without it."""

    def ends() -> Iterator[bytes]:
        yield b"x" * 100_000
        raise InterruptedError

    for to in (tmp_path / name, tmp_path / f"other-{name}"):
        with packing(to) as pack:
            pack.put("data/one", b"1")
            if to.name == name:
                with pytest.raises(InterruptedError):
                    pack.copy("data/two", ends())
                assert "data/two" not in pack.digests
            pack.put("data/two", b"2")
            pack.finish()
    first, second = tmp_path / name, tmp_path / f"other-{name}"
    if first.is_file():
        assert first.read_bytes() == second.read_bytes()
    else:
        assert (first / "data/two").read_bytes() == b"2"


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
def test_nothing_that_is_there_is_written_over_and_nothing_half_is_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"mine")
    with pytest.raises(FileExistsError), packing(tmp_path / name) as pack:
        pack.put("a", b"a")
        pack.finish()
    with pytest.raises(InterruptedError), packing(tmp_path / f"other-{name}") as pack:
        pack.put("a", b"a")
        raise InterruptedError
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == b"mine"


def test_neither_making_nor_checking_one_takes_memory_for_its_clips(tmp_path: Path) -> None:
    block = random.Random(1).randbytes(1 << 20)
    tracemalloc.start()
    try:
        with packing(tmp_path / "large.zip") as pack:
            pack.copy("data/clips/large.mp4", (block for _ in range(64)))
            pack.finish()
        assert wrong(tmp_path / "large.zip")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


# What was done to a folder is told of a zip file of it, too


@pytest.mark.parametrize("what", TAMPERED)
def test_whatever_is_altered_in_what_was_packed_is_named(
    pair: tuple[Path, Path, str], tmp_path: Path, what: str
) -> None:
    bag, other, key = pair
    alter, named = TAMPERED[what]
    mine = shutil.copytree(bag, tmp_path / "bag", symlinks=True)
    alter(mine, other)
    found = wrong(zipped(mine, tmp_path / "bag.zip"), key)
    assert any(named in said for said in found), found


@pytest.mark.parametrize("what", REMADE)
def test_manifests_that_are_made_anew_hide_nothing_in_a_zip(
    pair: tuple[Path, Path, str], tmp_path: Path, what: str
) -> None:
    bag, other, key = pair
    alter, named = REMADE[what]
    mine = shutil.copytree(bag, tmp_path / "bag")
    alter(mine, other)
    remade(mine)
    found = wrong(zipped(mine, tmp_path / "bag.zip"), key)
    assert any(named in said for said in found), found


# What can be done to a zip file only


def edited(path: Path, work: Callable[[zipfile.ZipFile], object]) -> None:
    """By Python's own, which then writes its directory anew."""
    with zipfile.ZipFile(path, "a") as archive:
        archive._didModify = True  # type: ignore[attr-defined]
        work(archive)


def more(name: str) -> Callable[[Path], object]:
    def add(path: Path) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a name that is there already
            edited(path, lambda archive: archive.writestr(zipfile.ZipInfo(name), b"more"))

    return add


def other_name(old: bytes, new: bytes) -> Callable[[Path], object]:
    """In its directory, and not where the file lies."""

    def rename(path: Path) -> None:
        data = path.read_bytes()
        at = data.rindex(old)
        assert len(old) == len(new)
        path.write_bytes(data[:at] + new + data[at + len(old) :])

    return rename


def spliced(at: Callable[[bytes], int], piece: bytes) -> Callable[[Path], object]:
    def splice(path: Path) -> None:
        data = path.read_bytes()
        path.write_bytes(data[: at(data)] + piece + data[at(data) :])

    return splice


def first_of(archive: zipfile.ZipFile, beginning: str) -> zipfile.ZipInfo:
    return next(one for one in archive.infolist() if one.filename.startswith(beginning))


def over_each_other(path: Path) -> None:
    """A second name for the bytes of the first file: what a bomb of little size is made of."""

    def work(archive: zipfile.ZipFile) -> None:
        first = archive.infolist()[0]
        twin = zipfile.ZipInfo("data/twin")
        for name in ("CRC", "compress_size", "file_size", "header_offset"):
            setattr(twin, name, getattr(first, name))
        archive.filelist.append(twin)

    edited(path, work)


def told(**values: int) -> Callable[[Path], object]:
    """Of its first clip, in the directory."""

    def tell(path: Path) -> None:
        def work(archive: zipfile.ZipFile) -> None:
            for name, value in values.items():
                setattr(first_of(archive, package.CLIPS), name, value)

        edited(path, work)

    return tell


def flipped_in_a_clip(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        at = first_of(archive, package.CLIPS).header_offset + 500
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/bomb", bytes(1 << 20))
        archive.infolist()[-1].file_size = 1 << 40


def packed(how: int) -> Callable[[Path], object]:
    def pack(path: Path) -> None:
        with zipfile.ZipFile(path, "a", how) as archive:
            archive.writestr("data/more", bytes(1000))

    return pack


def directory(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


def end(data: bytes) -> int:
    return data.rindex(b"PK\x05\x06")


def commented(path: Path) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = b"signed by the court"


#: What is done to a zip file → what of it the verifier names.
OF_A_ZIP: dict[str, tuple[Callable[[Path], object], str]] = {
    "cut by a byte": (lambda path: path.write_bytes(path.read_bytes()[:-1]), "cut off"),
    "cut in its directory": (
        lambda path: path.write_bytes(path.read_bytes()[: end(path.read_bytes()) - 100]), "cut off",
    ),
    "cut in the middle": (
        lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]), "cut off",
    ),
    "cut to nothing": (lambda path: path.write_bytes(b""), "cut off, or no zip file"),
    "no zip file": (lambda path: path.write_bytes(b"\0" * 5000), "cut off, or no zip file"),
    "a piece taken out": (
        lambda path: path.write_bytes(path.read_bytes()[:100] + path.read_bytes()[200:]), "off in between",
    ),
    "something behind its end": (spliced(len, b"more"), "4 bytes lie behind its end"),
    "another zip file behind its end": (
        lambda path: path.write_bytes(path.read_bytes() * 2), "between its directory and its end",
    ),
    "a comment": (commented, "19 bytes lie behind its end"),
    "something before it": (spliced(lambda data: 0, b"#!/bin/sh\n"), "between its directory and its end"),
    "something before its end": (spliced(end, b"more"), "between its directory and its end"),
    "something between its files": (
        lambda path: edited(path, hole), "bytes in it belong to no file",
    ),
    "files over each other": (over_each_other, "lie over each other"),
    "a file added": (more("data/more.txt"), "added: data/more.txt"),
    "one name twice": (more("data/report.html"), "two files of one name: data/report.html"),
    "a name in other case": (more("data/Report.HTML"), "differ by case or form only"),
    "a name in another form": (
        lambda path: [more(unicodedata.normalize(form, "data/é"))(path) for form in ("NFC", "NFD")],
        "differ by case or form only",
    ),
    "a name that leads out": (more("../more"), "leads out of the package: ../more"),
    "a name that leads out further down": (more("data/../../more"), "leads out of the package"),
    "a name from the root": (more("/etc/more"), "leads out of the package: /etc/more"),
    "a name that leads out elsewhere": (more("data\\..\\..\\more"), "leads out of the package"),
    "a name of a drive": (more("C:more"), "leads out of the package: C:more"),
    "a name with a zero": (
        lambda path: edited(path, lambda archive: named(archive, "data/a\0b")), "leads out of the package",
    ),
    "another name in its directory": (
        other_name(b"data/report.html", b"data/repost.html"), "its directory and what lies there differ",
    ),
    "another size in its directory": (told(file_size=1, compress_size=1), "two sizes are told of one file"),
    "another checksum in its directory": (told(CRC=1), "two sizes are told of one file"),
    "another way of packing in its directory": (
        told(compress_type=zipfile.ZIP_DEFLATED), "its directory and what lies there differ",
    ),
    "encryption in its directory": (told(flag_bits=1), "its directory and what lies there differ"),
    "a bit of a clip flipped": (flipped_in_a_clip, "changed: data/clips/"),
    "a bomb": (bomb, "two sizes are told of one file"),
    "packed as few programs can": (packed(zipfile.ZIP_LZMA), "cannot be read safely: data/more"),
    "a link": (
        lambda path: edited(path, lambda archive: named(archive, "data/link", stat.S_IFLNK)),
        "no regular file: data/link",
    ),
}  # fmt: skip


def hole(archive: zipfile.ZipFile) -> None:
    archive.start_dir += 7


def named(archive: zipfile.ZipFile, name: str, kind: int = stat.S_IFREG) -> None:
    member = zipfile.ZipInfo("data/a")
    member.filename = member.orig_filename = name
    member.external_attr = (kind | 0o644) << 16
    archive.writestr(member, b"/etc/passwd")


@pytest.mark.parametrize("what", OF_A_ZIP)
def test_whatever_is_done_to_a_zip_is_named(whole: tuple[Path, str], tmp_path: Path, what: str) -> None:
    alter, expected = OF_A_ZIP[what]
    mine = Path(shutil.copy(whole[0], tmp_path / "bag.zip"))
    alter(mine)
    found = wrong(mine, whole[1])
    assert any(expected in said for said in found), found
    assert run(mine).returncode == 1


def test_a_bomb_whose_sizes_agree_is_not_unpacked(whole: tuple[Path, str], tmp_path: Path) -> None:
    """Both say a terabyte, of which a kilobyte is packed."""
    mine = Path(shutil.copy(whole[0], tmp_path / "bag.zip"))
    with zipfile.ZipFile(mine, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/bomb", bytes(1 << 20))
        member = archive.infolist()[-1]
        member.file_size = 0xFFFFFFF0
        at = member.header_offset
    data = bytearray(mine.read_bytes())
    data[at + 22 : at + 26] = struct.pack("<I", 0xFFFFFFF0)
    mine.write_bytes(data)
    assert any("cannot be read safely: data/bomb" in said for said in wrong(mine))


def test_a_zip_cut_anywhere_is_said_to_be_cut(whole: tuple[Path, str], tmp_path: Path) -> None:
    data, mine = whole[0].read_bytes(), tmp_path / "bag.zip"
    for length in range(0, len(data), max(1, len(data) // 200)):
        mine.write_bytes(data[:length])
        assert any("cut off" in said for said in wrong(mine)), length


def test_no_bit_of_a_zip_can_be_another(whole: tuple[Path, str], tmp_path: Path) -> None:
    """Whatever comes of it, it is never an error of the verifier; and but for what no program reads as
    content (dates, versions, rights) it is told."""
    data, mine = whole[0].read_bytes(), tmp_path / "bag.zip"
    quiet = 0
    for at in random.Random(7).sample(range(directory(data), len(data)), 400):
        mine.write_bytes(data[:at] + bytes([data[at] ^ 1 << at % 8]) + data[at + 1 :])
        quiet += not wrong(mine)
    assert quiet < 250
    clip = data.index(b"data/clips/") + 300
    for at in range(clip, clip + 2000, 97):
        mine.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert any(said.startswith("changed: data/clips/") for said in wrong(mine))


def test_what_is_no_package_at_all_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    assert any("bagit.txt is not there" in said for said in wrong(tmp_path / "empty.zip"))
    with pytest.raises(OSError):
        wrong(tmp_path / "nothing.zip")
    with pytest.raises(Broken):
        box.opened("/dev/null")


@pytest.mark.parametrize("name", ["bag", "bag.zip"])
def test_where_the_disk_is_full_nothing_is_left(tmp_path: Path, name: str) -> None:
    """As a file that must not grow any more: EFBIG in place of ENOSPC."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, hard))
    try:
        with pytest.raises(OSError), packing(tmp_path / name) as pack:
            pack.copy("data/large", (bytes(1 << 16) for _ in range(100)))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []


def test_more_files_than_an_old_zip_file_can_count(tmp_path: Path) -> None:
    """A package of 2000 clips has some 40000 files, and more if their stories are long."""
    most = 66_000
    with packing(tmp_path / "bag.zip") as pack:
        for number in range(most):
            pack.put(f"data/log/{number}.proof", b"x")
        pack.finish()
    opened = box.opened(str(tmp_path / "bag.zip"))
    try:
        assert sum(regular for _, regular in opened.files()) == most
        assert opened.faults == []
        assert list(opened.blocks(f"data/log/{most - 1}.proof", 10)) == [b"x"]
    finally:
        opened.close()
