"""A listing is whole, says that it is not, or ends with the recorder."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import DeviceGone
from agent.model import Skipped
from drivers import files
from drivers.mass_storage import VolumeSession
from drivers.room import Portion, Room, cost
from drivers.walk import Walk
from tests.card import Plug, disk, put


def list_all(
    root: Path, room: Room | None = None, port: Plug | None = None, errors: Iterator[int] | None = None
) -> tuple[set[str], list[Skipped]]:
    fd = os.open(root, os.O_RDONLY)
    try:
        count = (lambda: next(errors)) if errors else int
        walked = Walk(fd, port or Plug(root), lambda folder: False, Portion(room or Room()), count)
        return {f"{found.folder}/{found.name}" for found in walked.files()}, walked.skipped
    finally:
        os.close(fd)


@pytest.fixture
def bad_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recorder on which the folder `bad` gives EIO."""
    for path in ("a/1.mp4", "bad/2.mp4", "z/3.mp4"):
        put(tmp_path, path)

    def failing(root: int, path: str) -> int:
        if path == "bad":
            raise OSError(errno.EIO, "Input/output error")
        return files.descend(root, path)

    monkeypatch.setattr("drivers.walk.descend", failing)
    return tmp_path


def test_one_unreadable_folder_does_not_stop_the_others(bad_folder: Path) -> None:
    assert list_all(bad_folder) == ({"a/1.mp4", "z/3.mp4"}, [Skipped("bad", "unreadable-folder")])


def test_an_unreadable_folder_of_a_recorder_that_just_left_is_no_listing(bad_folder: Path) -> None:
    with pytest.raises(DeviceGone):
        list_all(bad_folder, port=Plug(bad_folder, there=2))


def test_a_listing_that_a_pull_cut_short_never_passes_for_a_whole_one(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    with pytest.raises(DeviceGone):
        list_all(tmp_path, port=Plug(tmp_path, there=0))


def test_who_goes_through_the_listing_learns_at_its_end_that_the_recorder_left(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    port = Plug(tmp_path)
    session = VolumeSession(disk(), port)
    session.identity()
    port.there = 0
    with pytest.raises(DeviceGone):
        list(session.clips())
    session.close()


def test_a_folder_that_the_kernel_cut_short_in_silence_is_reported(tmp_path: Path) -> None:
    put(tmp_path, "a.mp4")
    assert list_all(tmp_path, errors=iter([7, 8])) == ({"/a.mp4"}, [Skipped("/", "unreadable-folder")])
    assert list_all(tmp_path, errors=iter([7, 7])) == ({"/a.mp4"}, [])


def test_too_many_entries_end_the_listing_with_a_word(tmp_path: Path) -> None:
    for number in range(20):
        put(tmp_path, f"{number:02}.mp4")
    found, skipped = list_all(tmp_path, Room(share=10 * cost("00.mp4"), common=0))
    assert len(found) == 10 and skipped == [Skipped("/", "too-many")]


def test_names_that_would_fill_the_memory_end_the_listing_and_shallow_clips_come_first(
    tmp_path: Path,
) -> None:
    deep = "/".join(["d" * 200] * 3)
    put(tmp_path, f"{deep}/x.mp4")
    put(tmp_path, "a.mp4")
    put(tmp_path, "DCIM/b.mp4")
    found, skipped = list_all(tmp_path, Room(share=2000, common=0))
    assert found == {"/a.mp4", "DCIM/b.mp4"} and [s.reason for s in skipped] == ["too-many"]


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_deep_and_wide_a_listing_keeps_few_files_open(tmp_path: Path) -> None:
    for number in range(30):
        put(tmp_path, "/".join([f"d{number}"] * 30) + "/a.mp4")
    fd = os.open(tmp_path, os.O_RDONLY)
    before = open_files()
    most = 0
    for _ in Walk(fd, Plug(tmp_path), lambda folder: False, Portion()).files():
        most = max(most, open_files())
    assert most <= before + 3
    assert open_files() == before
    os.close(fd)


def test_a_listing_says_that_it_goes_on(tmp_path: Path) -> None:
    for number in range(600):
        put(tmp_path, f"{number}.mp4")
    for number in range(20):
        (tmp_path / f"empty{number}").mkdir()
    port = Plug(tmp_path)
    list_all(tmp_path, port=port)
    assert port.beats == 21 + 2
    before = port.beats
    files.failure(OSError(errno.EIO, ""), port, "a")
    assert port.beats > before
