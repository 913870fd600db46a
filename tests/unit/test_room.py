"""A listing is bounded by the memory that it takes, and no card takes another one's."""

import os
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from agent.model import Device, DeviceKind
from drivers import room
from drivers.mass_storage import VolumeSession
from drivers.room import Portion, Room
from tests.dockside import FolderPort

MIB = 1 << 20
SLACK = 1.2  # a long officer's name in each file is more than an entry is charged for
CLIP = "DCIM/100ANDRO/8888881/012345/20260804/20260804{:06}_{:04}.mp4"


def long_names(root: Path) -> None:
    put(root / ("d" * 80), ("n" * 240 + f"{number:04}" for number in range(2000)))


def short_names(root: Path) -> None:
    put(root, (f"{number:x}" for number in range(5000)))


def wide_letters(root: Path) -> None:
    put(root / ("录" * 80), ("🎥" * 60 + f"{number:04}" for number in range(2000)))


def another_officer_in_each_name(root: Path) -> None:
    put(root, (f"DCAM_R{number:0100}_P{number:0100}_20260804_100000.mp4" for number in range(2000)))


def put(folder: Path, names: Iterable[str]) -> None:
    folder.mkdir(exist_ok=True)
    for name in names:
        os.close(os.open(folder / name, os.O_CREAT | os.O_WRONLY))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> Room:
    """For sessions that are opened in this test."""
    small = Room(share=MIB // 2, common=MIB // 4)
    monkeypatch.setattr(Portion.__init__, "__defaults__", (small,))
    return small


def dock(root: Path) -> VolumeSession:
    device = Device(str(root), DeviceKind.VOLUME, "p", fs_type="ext4", fs_uuid="1234-ABCD")
    return VolumeSession(device, FolderPort(root))


@pytest.mark.parametrize("hostile", [long_names, short_names, wide_letters, another_officer_in_each_name])
def test_what_a_hostile_card_takes_is_what_it_is_charged_for(
    tmp_path: Path, small: Room, hostile: Callable[[Path], None]
) -> None:
    hostile(tmp_path)
    first = dock(tmp_path)
    first.identity()  # what is loaded once is no card's
    first.close()
    tracemalloc.start()
    sessions = [dock(tmp_path) for _ in range(3)]
    for session in sessions:
        session.identity()
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [s.reason for session in sessions for s in session.skipped()] == ["too-many"] * 3
    assert taken < SLACK * (3 * MIB // 2 + MIB // 4)


def test_32_slots_full_of_hostile_cards_take_170_mib_at_most() -> None:
    rest = 0
    while room.ROOM.borrow(4096):
        rest += 4096
    room.ROOM.give_back(rest)
    assert SLACK * (32 * room.ROOM.share + rest) < 170 * MIB


def test_10_000_clips_fit_into_the_share_of_every_slot() -> None:
    alone = Portion(Room(common=0))
    assert all(alone.take(CLIP.format(number, number)) for number in range(10_000))


def test_a_hostile_card_takes_no_other_ones_share_and_gives_back_what_it_borrowed(
    tmp_path: Path, small: Room
) -> None:
    long_names(tmp_path)
    first, second = dock(tmp_path), dock(tmp_path)
    most, sure = len(list(first.clips())), len(list(second.clips()))
    assert most > sure > MIB // 2 // room.cost("d" * 80 + "/" + "n" * 244) - 3
    first.close()
    second.close()
    third = dock(tmp_path)
    assert len(list(third.clips())) == most
    third.close()
