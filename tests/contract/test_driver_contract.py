"""What every driver promises, over a real folder each. A new family is done when it passes.

The recorder's damage (EIO) and the ways in which it goes have their own files: they need more than a folder.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.dock.mounts import FolderPort
from agent.errors import DeviceGone, Reject
from agent.model import Device, DeviceKind, SourceClip
from drivers.base import Driver, Session
from drivers.mass_storage import MassStorage
from drivers.registry import best
from drivers.simulated import Simulated
from tests.here import require

DRIVERS: list[tuple[Driver, Device]] = [
    (MassStorage(), Device("/dev/sdb1", DeviceKind.VOLUME, "usb-0:1", fs_type="vfat", fs_uuid="1234-ABCD")),
    (Simulated(), Device("/rack/1", DeviceKind.FOLDER, "rack-1", fs_uuid="1234-ABCD")),
]


@dataclass
class Bench:
    root: Path
    port: FolderPort
    driver: Driver
    device: Device
    sessions: list[Session]

    def dock(self) -> Session:
        self.sessions.append(self.driver.open(self.device, self.port))
        return self.sessions[-1]

    def put(self, path: str, content: bytes = b"clip") -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)


@pytest.fixture(params=DRIVERS, ids=lambda pair: pair[0].name)
def bench(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Bench]:
    driver, device = request.param
    root = tmp_path / "recorder"
    root.mkdir()
    made = Bench(root, FolderPort(root, root.stat().st_ino, lambda: None), driver, device, [])
    yield made
    for session in made.sessions:
        session.close()
    shutil.rmtree(made.root, ignore_errors=True)  # deeper than the path of a usual clean-up may be


def by_path(session: Session) -> dict[str, SourceClip]:
    clips = list(session.clips())
    assert len({clip.path for clip in clips}) == len(clips)
    return {clip.path: clip for clip in clips}


def content(session: Session, clip: SourceClip, step: int = 1 << 16) -> bytes:
    """Read as ingest does: positions, whatever length comes back, until 0."""
    reader = session.open(clip)
    got = bytearray()
    buffer = memoryview(bytearray(step))
    try:
        while length := reader.read_at(buffer, len(got)):
            got += buffer[:length]
    finally:
        reader.close()
    return bytes(got)


def reasons(session: Session) -> dict[str, str]:
    list(session.clips())
    return {skipped.path: skipped.reason for skipped in session.skipped()}


def test_the_registry_finds_the_driver_of_its_device(bench: Bench) -> None:
    found = best(bench.device)
    assert found is not None and found.name == bench.driver.name


def test_every_file_is_listed_whatever_its_name_or_type(bench: Bench) -> None:
    names = ["a.mp4", "no-extension", "odd.xyz", ".hidden", "DCIM/100MEDIA/b.MOV", "FOUND.000/FILE0000.CHK"]
    for name in names:
        bench.put(name, name.encode())
    session = bench.dock()
    clips = by_path(session)
    assert clips.keys() == set(names)
    assert {path: content(session, clip) for path, clip in clips.items()} == {n: n.encode() for n in names}
    assert all(clip.size == len(clip.path) for clip in clips.values())
    assert session.skipped() == []


def test_only_temporaries_and_the_systems_own_folders_are_passed_over(bench: Bench) -> None:
    for path in ("DCIM/SEGTEMP/pre.mp4", "system volume information/x", ".Spotlight-V100/x"):
        bench.put(path)
    bench.put("SEGTEMP.mp4")
    bench.put(".Trash-1000/x")
    bench.put("LOST.DIR/x")
    bench.put("DCIM/System Volume Information/not-the-systems.mp4")
    assert by_path(bench.dock()).keys() == {
        "SEGTEMP.mp4",
        ".Trash-1000/x",
        "LOST.DIR/x",
        "DCIM/System Volume Information/not-the-systems.mp4",
    }


def test_an_empty_recorder_has_no_clips_and_an_identity(bench: Bench) -> None:
    session = bench.dock()
    assert by_path(session) == {}
    identity = session.identity()
    assert identity.recorder == "unknown-1234-ABCD" and not identity.assigned
    assert identity.fs_id == "1234-ABCD"


def test_any_position_can_be_read_in_any_order(bench: Bench) -> None:
    data = os.urandom(300_000)
    bench.put("a.mp4", data)
    session = bench.dock()
    reader = session.open(by_path(session)["a.mp4"])
    reader.ahead(200_000, 1 << 30)  # a hint may be wrong
    for offset, length in ((299_990, 10), (0, 1), (65_535, 2), (123_456, 100_000), (0, 300_000)):
        buffer = memoryview(bytearray(length))
        done = 0
        while done < length:
            done += reader.read_at(buffer[done:], offset + done)
        assert bytes(buffer) == data[offset : offset + length]
    assert reader.read_at(memoryview(bytearray(8)), 300_000) == 0
    assert reader.read_at(memoryview(bytearray(8)), 1 << 40) == 0
    reader.close()
    reader.close()


def test_an_open_file_tells_its_size_as_it_is_now(bench: Bench) -> None:
    bench.put("a.mp4", b"12345")
    session = bench.dock()
    clip = by_path(session)["a.mp4"]
    reader = session.open(clip)
    assert reader.stat() == (clip.size, clip.mtime_ns) == (5, (bench.root / "a.mp4").stat().st_mtime_ns)
    bench.put("a.mp4", b"1234567")
    assert reader.stat()[0] == 7
    reader.close()


def test_an_empty_file_is_a_file(bench: Bench) -> None:
    bench.put("empty.mp4", b"")
    session = bench.dock()
    clip = by_path(session)["empty.mp4"]
    assert clip.size == 0 and content(session, clip) == b""


def test_a_file_beyond_4_gib_is_read_at_its_end(bench: Bench) -> None:
    size = (4 << 30) + 12_345
    with (bench.root / "long.mp4").open("wb") as file:
        file.truncate(size)
        file.seek(size - 4)
        file.write(b"tail")
    session = bench.dock()
    clip = by_path(session)["long.mp4"]
    reader = session.open(clip)
    buffer = memoryview(bytearray(100))
    assert clip.size == size
    assert reader.read_at(buffer, size - 4) == 4 and bytes(buffer[:4]) == b"tail"
    reader.close()


HOSTILE = [
    b"line\nfeed.mp4",
    "right\u202eto\u2066left.mp4".encode(),
    b"n" * 251 + b".mp4",
    b"\xff\xfe invalid \xc3.mp4",
    "执法记录仪_001.mp4".encode(),
    "执法".encode("gbk") + b".mp4",
    b"-rf --help.mp4",
    b"..mp4",
    b"...",
    b" ",
    b"a\\..\\b.mp4",
    b"%2e%2e%2f$(reboot)`x`.mp4",
    b"\x01\x1b[31m.mp4",
]


@pytest.mark.parametrize("name", HOSTILE, ids=ascii)
def test_a_hostile_name_survives_byte_for_byte(bench: Bench, name: bytes) -> None:
    bench.put(os.fsdecode(name[:200] + b".d/" + name), name)
    session = bench.dock()
    [clip] = session.clips()
    assert os.fsencode(clip.path) == name[:200] + b".d/" + name
    assert content(session, clip) == name
    assert session.identity().recorder == "unknown-1234-ABCD"


def test_ten_thousand_files_in_one_folder_are_all_listed(bench: Bench) -> None:
    folder = bench.root / "DCIM"
    folder.mkdir()
    for number in range(10_000):
        os.close(os.open(f"{folder}/20260804_100000_{number:04}.mp4", os.O_CREAT | os.O_WRONLY))
    session = bench.dock()
    assert len(by_path(session)) == 10_000 and session.skipped() == []


def test_forty_folders_with_names_of_255_bytes_are_no_obstacle(bench: Bench) -> None:
    fd = os.open(bench.root, os.O_RDONLY)
    for level in range(40):
        name = f"{level:02}" + "d" * 253
        os.mkdir(name, dir_fd=fd)
        below = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    file = os.open("f" * 255, os.O_CREAT | os.O_WRONLY, dir_fd=fd)
    os.write(file, b"deep")
    os.close(file)
    os.close(fd)
    session = bench.dock()
    [clip] = session.clips()
    assert clip.path.count("/") == 40 and len(clip.path) == 41 * 255 + 40
    assert content(session, clip) == b"deep"


def test_beyond_64_folders_the_depth_is_reported_and_the_rest_collected(bench: Bench) -> None:
    bench.put("/".join(["d"] * 64) + "/reached.mp4")
    bench.put("/".join(["d"] * 65) + "/beyond.mp4")
    session = bench.dock()
    assert by_path(session).keys() == {"/".join(["d"] * 64) + "/reached.mp4"}
    assert reasons(session) == {"/".join(["d"] * 65): "too-deep"}


def test_a_link_on_the_recorder_is_never_followed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_bytes(b"secret")
    (bench.root / "file-link.mp4").symlink_to(tmp_path / "secret" / "key")
    (bench.root / "folder-link").symlink_to(tmp_path / "secret")
    (bench.root / "ring").symlink_to(".")
    bench.put("a.mp4")
    session = bench.dock()
    assert by_path(session).keys() == {"a.mp4"}
    assert reasons(session) == dict.fromkeys(("file-link.mp4", "folder-link", "ring"), "not-a-file")


def test_a_fifo_neither_blocks_nor_is_collected(bench: Bench) -> None:
    os.mkfifo(bench.root / "pipe.mp4")
    session = bench.dock()
    assert reasons(session) == {"pipe.mp4": "not-a-file"}
    with pytest.raises(Reject) as caught:
        session.open(SourceClip("pipe.mp4", 0, 0))
    assert caught.value.key == "not-a-file"


def test_a_file_that_vanished_after_the_listing_is_rejected_alone(bench: Bench) -> None:
    bench.put("a.mp4")
    bench.put("b.mp4")
    session = bench.dock()
    clips = by_path(session)
    (bench.root / "a.mp4").unlink()
    with pytest.raises(Reject) as caught:
        session.open(clips["a.mp4"])
    assert caught.value.key == "vanished"
    assert content(session, clips["b.mp4"]) == b"clip"


def test_a_file_replaced_by_a_link_after_the_listing_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    bench.put("a.mp4")
    session = bench.dock()
    clip = by_path(session)["a.mp4"]
    (bench.root / "a.mp4").unlink()
    (bench.root / "a.mp4").symlink_to(tmp_path / "secret")
    with pytest.raises(Reject) as caught:
        session.open(clip)
    assert caught.value.key == "not-a-file"


def test_a_folder_replaced_by_a_link_after_the_listing_is_not_followed(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.mp4").write_bytes(b"secret")
    bench.put("DCIM/a.mp4")
    session = bench.dock()
    clip = by_path(session)["DCIM/a.mp4"]
    shutil.rmtree(bench.root / "DCIM")
    (bench.root / "DCIM").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Reject) as caught:
        session.open(clip)
    assert caught.value.key == "vanished"


def test_a_folder_replaced_by_a_link_between_two_of_its_files_is_not_followed(
    bench: Bench, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    for name in ("a.mp4", "b.mp4"):
        (tmp_path / "elsewhere" / name).write_bytes(b"secret")
        bench.put(f"DCIM/{name}")
    session = bench.dock()
    clips = by_path(session)
    assert content(session, clips["DCIM/a.mp4"]) == b"clip"
    (bench.root / "DCIM").rename(bench.root / "moved")
    (bench.root / "DCIM").symlink_to(tmp_path / "elsewhere")
    assert content(session, clips["DCIM/b.mp4"]) == b"clip"
    assert content(session, SourceClip("moved/a.mp4", 4, 0)) == b"clip"
    with pytest.raises(Reject) as caught:
        session.open(clips["DCIM/b.mp4"])
    assert caught.value.key == "vanished"


@pytest.mark.parametrize("path", ["../secret", "/etc/passwd", "a/../../secret", "./a", "", "a//b", "a\0b"])
def test_no_path_leads_out_of_the_recorder(bench: Bench, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    bench.put("a/x")
    with pytest.raises(Reject):
        bench.dock().open(SourceClip(path, 1, 0))


def unshared(work: Callable[[], None]) -> None:
    """Do `work` in a thread that has its mounts to itself: whatever ends it, they end with it."""

    def alone() -> None:
        new_mounts = 0x20000
        assert ctypes.CDLL(None).unshare(new_mounts) == 0
        subprocess.run(["mount", "--make-rprivate", "/"], check=True)
        work()

    with ThreadPoolExecutor(1) as one:
        one.submit(alone).result()


def test_another_mount_below_the_recorder_is_refused(bench: Bench, tmp_path: Path) -> None:
    """Also one of the same file system, whose device number is the same."""
    require("tmpfs", "unshare")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "secret").write_bytes(b"secret")
    bench.put("a.mp4")
    bench.put("b.mp4")
    (bench.root / "inside").mkdir()

    def dock_with_mounts() -> None:
        subprocess.run(["mount", "--bind", tmp_path / "elsewhere", bench.root / "inside"], check=True)
        session = bench.dock()
        assert by_path(session).keys() == {"a.mp4", "b.mp4"}
        assert reasons(session) == {"inside": "other-filesystem"}
        for _ in range(2):
            with pytest.raises(Reject) as caught:
                session.open(SourceClip("inside/secret", 6, 0))
            assert caught.value.key == "other-filesystem"
        subprocess.run(["mount", "--bind", "/proc/version", bench.root / "b.mp4"], check=True)
        with pytest.raises(Reject) as caught:
            session.open(SourceClip("b.mp4", 6, 0))
        assert caught.value.key == "other-filesystem"
        assert content(session, SourceClip("a.mp4", 4, 0)) == b"clip"

    unshared(dock_with_mounts)


def test_the_identity_is_that_of_the_files_and_says_who_voted(bench: Bench) -> None:
    bench.put("8888881_012345_20260804100000_0001.mp4")
    bench.put("8888881_012345_20260804101000_0002IMP.mp4")
    session = bench.dock()
    identity = session.identity()
    assert (identity.recorder, identity.assigned, identity.officer) == ("8888881", True, "012345")
    assert identity.votes == (("names", "8888881"),) and not identity.conflict
    assert [clip.important for _, clip in sorted(by_path(session).items())] == [False, True]


def test_a_recorder_that_is_gone_ends_every_session(bench: Bench) -> None:
    bench.put("a.mp4")
    session = bench.dock()
    bench.root.rename(bench.root.with_name("pulled"))
    bench.root = bench.root.with_name("pulled")
    with pytest.raises(DeviceGone):
        session.identity()
    with pytest.raises(DeviceGone):
        list(session.clips())
    with pytest.raises(DeviceGone):
        bench.dock()


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_closed_session_lets_go_of_the_recorder(bench: Bench) -> None:
    bench.put("a.mp4")
    before = open_files()
    session = bench.dock()
    session.identity()
    content(session, by_path(session)["a.mp4"])
    session.close()
    session.close()
    assert open_files() == before
