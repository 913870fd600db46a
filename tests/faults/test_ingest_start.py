"""What ingest promises at the start after a crash, and where the disk has no room."""

import errno
import os
import resource
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

from agent import durable
from agent.catalog import intake
from agent.errors import NoRoom
from tests.dockside import Dockside, in_a_child, media, recorder, rot
from tests.here import require

A = "DCIM/a.mp4"
CLIP = "{0}_00000{1}_20260101120000_0001.mp4"
ENOUGH = 512 << 20  # bytes of memory, beside what the test itself has


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 MiB."""
    require("tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder], check=True)
    yield folder
    run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def card(tmp_path: Path) -> Path:
    return recorder(tmp_path / "card", {A: 5000})


def die(*_: Any) -> None:
    os._exit(9)


def die_nameless(side: Dockside) -> None:
    """A copy is verified and described, and does not get its name any more."""
    side.store.seal = die  # type: ignore[assignment, method-assign]


def die_unsynced(side: Dockside) -> None:
    """A copy has its name, in folders that are not on the disk yet."""
    sync = durable.sync_folder

    def sync_or_die(folder: Path) -> None:
        if folder.is_relative_to(side.store.clips):
            die()
        sync(folder)

    durable.sync_folder = sync_or_die


def dock_and_die(station: Path, card: Path, how: Callable[[Dockside], None]) -> None:
    def work() -> None:
        side = Dockside(station)
        how(side)
        side.dock(card)

    assert in_a_child(work) == 9


def test_after_a_power_cut_a_name_in_the_store_is_believed_only_after_reading_it(
    tmp_path: Path, card: Path
) -> None:
    """The clip was quarantined, and copied again; the copy did not survive, what had rotted did."""
    side = Dockside(tmp_path / "station")
    side.dock(card)
    (row,) = side.rows()
    rot(side.store.path(row["key"]))
    side.upload(tmp_path / "share")
    assert side.states() == {"quarantined": 1}
    side.close()
    dock_and_die(tmp_path / "station", card, die_nameless)
    for path in side.store.incoming.iterdir():
        path.unlink()
    again = Dockside(tmp_path / "station")
    assert again.states() == {"seen": 1}
    assert again.dock(card)[0]
    assert again.states() == {"stored": 1}
    assert again.stored_digests() == media(card)
    again.close()


def test_a_copy_is_in_its_folder_for_good_before_it_is_described(
    tmp_path: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = Dockside(tmp_path / "station")
    synced: list[Path] = []
    before: list[bool] = []
    sync, describe = durable.sync_folder, intake.describe

    def noted(folder: Path) -> None:
        sync(folder)
        synced.append(folder)

    def described(*args: Any) -> int | None:
        before.append(side.store.incoming in synced)
        return describe(*args)

    monkeypatch.setattr(durable, "sync_folder", noted)
    monkeypatch.setattr(intake, "describe", described)
    assert side.dock(card)[0]
    assert before == [True]
    side.close()


def test_a_disk_that_is_full_only_at_the_sync_does_not_stop_the_start(
    tmp_path: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a quota, or a disk in the network."""
    dock_and_die(tmp_path / "station", card, die_nameless)
    sync, refused = os.fsync, []

    def full(fd: int) -> None:
        path = Path(f"/proc/self/fd/{fd}").readlink()
        if path.is_relative_to(tmp_path / "station/store/clips"):
            refused.append(path)
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(fd)

    monkeypatch.setattr(os, "fsync", full)
    side = Dockside(tmp_path / "station")
    assert refused
    assert side.states() == {"seen": 1}
    monkeypatch.undo()
    assert side.dock(card)[0]
    assert side.stored_digests() == media(card)
    side.close()


def test_a_folder_among_the_copies_on_their_way_does_not_stop_the_start(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station")
    side.close()
    (side.store.incoming / "lost+found").mkdir()
    Dockside(tmp_path / "station").close()
    assert side.leftovers() == ["lost+found"]


def test_folders_that_a_crash_left_unsynced_are_synced_before_their_clip_is_stored(
    tmp_path: Path, card: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dock_and_die(tmp_path / "station", card, die_unsynced)
    synced = []
    sync = durable.sync_folder

    def noted(folder: Path) -> None:
        sync(folder)
        synced.append(folder)

    monkeypatch.setattr(durable, "sync_folder", noted)
    side = Dockside(tmp_path / "station")
    assert side.states() == {"stored": 1}
    (row,) = side.rows()
    day = side.store.path(row["key"]).parent
    assert {day, day.parent, side.store.clips} <= set(synced)
    side.close()


def test_a_size_that_no_disk_has_costs_no_memory(disk: Path) -> None:
    """A small card may claim a file of an exbibyte, where its file system lets it."""
    card = recorder(disk / "card", {A: 5000, "DCIM/huge.mp4": b""})
    os.truncate(card / "DCIM/huge.mp4", 1 << 60)

    def work() -> None:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ENOUGH,) * 2)
        side = Dockside(disk / "station")
        complete, heard = side.dock(card)
        assert not complete
        assert "store-full" in heard.told()

    assert in_a_child(work) == 0
    side = Dockside(disk / "station")
    assert side.states() == {"seen": 1, "stored": 1}
    side.close()


def test_a_file_that_cannot_fit_does_not_take_the_room_of_all_others(tmp_path: Path, disk: Path) -> None:
    side = Dockside(disk, reserve=4 << 20)
    huge = CLIP.format("8888888", 1)
    bad = recorder(tmp_path / "bad", {huge: b""})
    os.truncate(bad / huge, 32 << 30)
    good = recorder(tmp_path / "good", {CLIP.format("7777777", 2): 5 << 20})
    with pytest.raises(NoRoom):
        side.dock(bad)
    complete, _ = side.dock(good)
    assert complete
    assert side.stored_digests() == media(good)
    side.close()
