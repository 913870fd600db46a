"""What a disk tells of itself, and what its faults mean."""

import errno
import os
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import DeviceGone, SourceUnreadable, Unsupported
from agent.model import Device, DeviceKind, Identity, Skipped, SourceClip
from drivers import files, layout
from drivers.identity import safe_id
from drivers.mass_storage import MassStorage, VolumeSession, medium_errors
from drivers.registry import best
from tests.card import Plug, disk, put


def clips(root: Path, **about: str) -> dict[str, SourceClip]:
    session = VolumeSession(disk(**about), Plug(root))
    try:
        return {clip.path: clip for clip in session.clips()}
    finally:
        session.close()


def identity(root: Path, **about: str) -> Identity:
    session = VolumeSession(disk(**about), Plug(root))
    try:
        return session.identity()
    finally:
        session.close()


# Which devices


@pytest.mark.parametrize("fs_type", ["vfat", "exfat", "ext4"])
def test_a_volume_with_a_known_file_system_is_a_disk(fs_type: str) -> None:
    found = best(disk(fs_type=fs_type))
    assert found is not None and found.name == "mass-storage"


@pytest.mark.parametrize(
    "device",
    [disk(fs_type="crypto_LUKS"), disk(fs_type=""), Device("/dev/sdb", DeviceKind.DISK, "usb-0:1")],
)
def test_what_cannot_be_mounted_has_no_driver(device: Device) -> None:
    assert best(device) is None


def test_a_root_that_is_no_folder_is_unsupported(tmp_path: Path) -> None:
    with pytest.raises(Unsupported) as caught:
        MassStorage().open(disk(), Plug(put(tmp_path, "file")))
    assert caught.value.key == "unreadable-folder"


# Identity

A = "{}_012345_20260804100000_{:04}.mp4"


def test_more_votes_win_and_the_rest_is_a_conflict(tmp_path: Path) -> None:
    put(tmp_path, "DCIM/100ANDRO/8888882/012345/20260804/20260804100000_0001.mp4")
    put(tmp_path, A.format(8888881, 1))
    found = identity(tmp_path, fs_label="8888882")
    assert found.recorder == "8888882" and found.conflict
    assert found.votes == (("names", "8888881"), ("folders", "8888882"), ("label", "8888882"))


def test_on_a_tie_the_names_are_believed_before_a_label_that_a_fleet_may_share(tmp_path: Path) -> None:
    put(tmp_path, A.format(8888881, 1))
    found = identity(tmp_path, fs_label="ZFY2020")
    assert found.recorder == "8888881" and found.conflict


def test_most_names_win_and_a_strangers_clip_is_a_conflict(tmp_path: Path) -> None:
    for number in range(3):
        put(tmp_path, A.format(8888881, number))
    put(tmp_path, A.format(8888880, 9))
    found = identity(tmp_path)
    assert found.recorder == "8888881" and found.conflict


def test_an_identity_file_is_the_best_witness(tmp_path: Path) -> None:
    put(tmp_path, "DCIM/ID.txt", "单位=三大队\r\nDEVICE_ID = dsj0007\r\n".encode("gbk"))
    put(tmp_path, A.format(8888881, 1))
    found = identity(tmp_path)
    assert found.recorder == "DSJ0007" and found.conflict
    assert "DCIM/ID.txt" in clips(tmp_path)


def test_small_and_capital_letters_are_one_recorder(tmp_path: Path) -> None:
    put(tmp_path, A.format("dsj0007", 1))
    found = identity(tmp_path, fs_label="DSJ0007")
    assert found.recorder == "DSJ0007" and not found.conflict and len(found.votes) == 2


def test_the_label_alone_names_a_recorder(tmp_path: Path) -> None:
    assert identity(tmp_path, fs_label="CAM001 ").recorder == "CAM001"


@pytest.mark.parametrize(
    "label", ["NO NAME", "SD32GB", "KINGSTON", "DISK1", "0000000", "1234567", "", "执法仪"]
)
def test_a_label_that_any_card_may_have_names_nobody(tmp_path: Path, label: str) -> None:
    found = identity(tmp_path, fs_label=label)
    assert found.recorder == "unknown-1234-ABCD" and not found.assigned and found.votes == ()


def test_a_serial_number_confirms_and_never_names(tmp_path: Path) -> None:
    assert not identity(tmp_path, serial="8888881").assigned
    put(tmp_path, A.format(8888881, 1))
    assert identity(tmp_path, serial="8888881").votes == (("names", "8888881"), ("serial", "8888881"))
    other = identity(tmp_path, serial="4C530001")
    assert other.recorder == "8888881" and not other.conflict


def test_numbers_that_firmware_writes_for_nobody_are_no_votes(tmp_path: Path) -> None:
    put(tmp_path, "0000000_000000_20260804100000_0001.mp4")
    found = identity(tmp_path)
    assert found.recorder == "unknown-1234-ABCD" and found.officer == ""


@pytest.mark.parametrize("uuid", ["", "0000-0000"])
def test_without_a_file_system_id_the_same_recorder_stays_the_same(tmp_path: Path, uuid: str) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    first = identity(tmp_path / "one", fs_uuid=uuid)
    put(tmp_path / "one", "new.mp4")
    assert identity(tmp_path / "one", fs_uuid=uuid) == first
    assert identity(tmp_path / "two", fs_uuid=uuid).fs_id != first.fs_id
    assert first.fs_id and first.recorder == f"unknown-{first.fs_id}"


def test_a_hostile_number_in_a_folder_is_safe_in_a_path(tmp_path: Path) -> None:
    put(tmp_path, "DCIM/100ANDRO/..\\..\n\u202e/%00/20260804/x.mp4")
    found = identity(tmp_path, fs_uuid="../../etc")
    assert found.assigned
    for made in (found.recorder, found.fs_id, found.officer):
        assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
        assert made[0] not in ".-" and ".." not in made


any_text = st.text(st.characters(exclude_categories=()), min_size=1)


@given(any_text)
def test_every_id_is_safe_in_paths_and_keys(text: str) -> None:
    made = safe_id(text)
    assert 0 < len(made) <= 64 and made[0] not in ".-" and made[-1] != "."
    assert all(ch.isascii() and (ch.isalnum() or ch in "._-") for ch in made)


@given(any_text, any_text)
def test_different_texts_never_become_one_id(one: str, two: str) -> None:
    assert (safe_id(one) == safe_id(two)) == (one == two)
    assert safe_id(safe_id(one + "/")) != safe_id(one + "/")  # nobody can take an escaped id by its name
    assert not safe_id(f"unknown-{one}").startswith("unknown-")


# What a clip is


def test_a_clip_carries_what_its_name_its_folder_and_its_file_say(tmp_path: Path) -> None:
    file = put(tmp_path, "DCIM/101ANDRO/8888881/012345/20260804/20260804100000_0042.mp4")
    os.utime(file, ns=(0, 1_000_000_000))
    [clip] = clips(tmp_path).values()
    assert clip == SourceClip(
        path="DCIM/101ANDRO/8888881/012345/20260804/20260804100000_0042.mp4",
        size=4,
        mtime_ns=1_000_000_000,
        kind="video",
        important=True,
        officer="012345",
        sequence=42,
        recorded_at=datetime(2026, 8, 4, 10),
        time_source="name",
        name_parsed=True,
    )


def test_an_unknown_name_takes_its_time_from_the_file(tmp_path: Path) -> None:
    os.utime(put(tmp_path, "MOV1.wav"), (0, 315_532_800))
    clip = clips(tmp_path)["MOV1.wav"]
    assert (clip.recorded_at, clip.time_source) == (datetime(1980, 1, 1), "mtime")
    assert (clip.name_parsed, clip.kind) == (False, "audio")


@pytest.mark.parametrize("name", ["a.CPI", "a.log", "a.xyz", "mp4", "a."])
def test_only_the_extension_makes_the_kind(tmp_path: Path, name: str) -> None:
    put(tmp_path, name)
    assert clips(tmp_path)[name].kind == ("sidecar" if name in ("a.CPI", "a.log") else "other")


def test_the_lock_of_fat_marks_a_clip_as_important_and_modes_of_others_do_not(tmp_path: Path) -> None:
    put(tmp_path, "locked.mp4").chmod(0o444)
    put(tmp_path, "free.mp4").chmod(0o644)
    for fs_type in ("vfat", "exfat"):
        assert {p: c.important for p, c in clips(tmp_path, fs_type=fs_type).items()} == {
            "locked.mp4": True,
            "free.mp4": False,
        }
    assert not clips(tmp_path, fs_type="ext4")["locked.mp4"].important


@pytest.mark.parametrize(("options", "shown"), [("rw,fmask=0277,dmask=0277", False), ("rw,fmask=0077", True)])
def test_a_mount_that_hides_the_lock_makes_no_clip_important(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, shown: bool
) -> None:
    root = os.open(tmp_path, os.O_RDONLY)
    table = f"{files.mount_id(root)} 1 8:17 / /mnt ro,nodev - vfat /dev/sdb1 {options}\n"
    monkeypatch.setattr(layout, "MOUNTS", put(tmp_path, "mountinfo", table.encode()))
    assert layout.shows_locks("vfat", root) is shown
    os.close(root)


def test_a_time_that_no_catalog_can_hold_is_clamped() -> None:
    far = os.stat_result((0o100644, 1, 1, 1, 0, 0, 0, 0, 1 << 40, 0), {"st_mtime_ns": (1 << 40) * 10**9})
    assert files.mtime_ns(far) == (1 << 63) - 1


# Faults of the medium


@pytest.fixture
def broken() -> Iterator[int]:
    """A descriptor whose reads fail with EIO in the kernel itself."""
    fd = os.open("/proc/self/mem", os.O_RDONLY)
    yield fd


def test_an_unreadable_block_is_told_with_its_place_while_the_recorder_stays(
    broken: int, tmp_path: Path
) -> None:
    reader = files.FileReader(broken, "a.mp4", Plug(tmp_path))
    with pytest.raises(SourceUnreadable) as caught:
        reader.read_at(memoryview(bytearray(4096)), 0)
    assert (caught.value.offset, caught.value.length) == (0, 4096)
    assert caught.value.params["errno"] == "EIO" and caught.value.params["path"] == "a.mp4"
    reader.close()


def test_an_error_that_comes_before_the_system_notices_the_pull_is_a_pull(
    broken: int, tmp_path: Path
) -> None:
    reader = files.FileReader(broken, "a.mp4", Plug(tmp_path, there=2))
    with pytest.raises(DeviceGone):
        reader.read_at(memoryview(bytearray(4096)), 0)
    reader.close()


@pytest.mark.parametrize("code", [errno.ENODEV, errno.ENXIO, errno.ENOMEDIUM, errno.ESHUTDOWN])
def test_the_systems_words_for_a_pull_are_a_pull(code: int, tmp_path: Path) -> None:
    assert isinstance(files.failure(OSError(code, ""), Plug(tmp_path), "a"), DeviceGone)


@pytest.mark.parametrize("code", [errno.EUCLEAN, errno.EBADMSG, errno.EACCES, errno.EILSEQ])
def test_a_damaged_file_system_is_unreadable_and_no_bug(code: int, tmp_path: Path) -> None:
    assert isinstance(files.failure(OSError(code, ""), Plug(tmp_path), "a"), SourceUnreadable)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EBADF, errno.ENOMEM])
def test_a_fault_of_ours_is_never_blamed_on_the_recorder(code: int, tmp_path: Path) -> None:
    error = OSError(code, "")
    assert files.failure(error, Plug(tmp_path, there=0), "a") is error


def test_failed_commands_are_counted_on_the_disk_of_a_partition(tmp_path: Path) -> None:
    put(tmp_path, "sdb/device/ioerr_cnt", b"0x1f\n")
    put(tmp_path, "sdb/sdb1/partition", b"1\n")
    assert medium_errors(disk(sysfs=str(tmp_path / "sdb/sdb1"))) == 0x1F
    assert medium_errors(disk(sysfs=str(tmp_path / "sdb"))) == 0x1F
    assert medium_errors(disk(sysfs=str(tmp_path / "loop0"))) == medium_errors(disk()) == 0


@pytest.mark.parametrize(
    ("counts", "skipped"),
    [
        ([3, 4, 4, 4], []),  # udev asked for something during the first listing
        ([3, 4, 4, 5, 5, 6], [Skipped("/", "unreadable-folder")]),  # every listing meets it
    ],
    ids=["once", "always"],
)
def test_only_a_command_that_fails_at_every_listing_makes_it_incomplete(
    counts: list[int], skipped: list[Skipped], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, "DCIM/a.mp4")
    told = iter(counts)
    monkeypatch.setattr("drivers.mass_storage.medium_errors", lambda _: next(told))
    session = VolumeSession(disk(), Plug(tmp_path))
    assert [clip.path for clip in session.clips()] == ["DCIM/a.mp4"]
    assert session.skipped() == skipped
    assert list(told) == []
    session.close()
