"""What udev says about a device, and what the station makes of it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.dock.describe import decoded, describe
from agent.model import DeviceKind

PLAIN = {"DEVNAME": "/dev/sda", "DEVTYPE": "disk", "ID_PATH": "pci-0000:00:03.0-usb-0:3:1.0-scsi-0:0:0:1"}
FAT = {"ID_FS_USAGE": "filesystem", "ID_FS_TYPE": "vfat", "ID_FS_UUID": "1234-ABCD"}


@pytest.fixture
def sda(tmp_path: Path) -> Path:
    folder = tmp_path / "sda"
    folder.mkdir()
    (folder / "size").write_text("2048\n")
    return folder


def test_a_file_system_on_the_whole_disk_is_a_volume(sda: Path) -> None:
    names = {"ID_FS_LABEL_ENC": r"DSJ\x20001", "ID_USB_VENDOR_ID": "4255", "ID_MODEL_ID": "0001"}
    device = describe(PLAIN | FAT | names | {"ID_SERIAL_SHORT": "1234567"}, str(sda))
    assert device is not None
    assert (device.kind, device.port, device.lun) == (DeviceKind.VOLUME, "pci-0000:00:03.0-usb-0:3", 1)
    assert (device.fs_type, device.fs_uuid, device.fs_label) == ("vfat", "1234-ABCD", "DSJ 001")
    assert (device.vendor_id, device.product_id, device.serial) == ("4255", "0001", "1234567")


def test_a_disk_without_file_system_and_partitions_is_a_disk(sda: Path) -> None:
    device = describe(PLAIN, str(sda))
    assert device is not None and device.kind is DeviceKind.DISK and device.fs_type == ""


def test_an_unknown_file_system_is_a_disk_that_names_it(sda: Path) -> None:
    device = describe(PLAIN | {"ID_FS_TYPE": "BitLocker", "ID_FS_USAGE": "crypto"}, str(sda))
    assert device is not None and device.kind is DeviceKind.DISK and device.fs_type == "BitLocker"


def test_a_partitioned_disk_is_its_partitions(sda: Path) -> None:
    (sda / "sda1").mkdir()
    (sda / "sda1/partition").write_text("1")
    assert describe(PLAIN | {"ID_PART_TABLE_TYPE": "dos"}, str(sda)) is None


def test_a_partition_that_cannot_be_read_is_shown(sda: Path) -> None:
    device = describe(PLAIN | {"DEVTYPE": "partition", "ID_PART_ENTRY_TYPE": "0xc"}, str(sda))
    assert device is not None and device.kind is DeviceKind.DISK


@pytest.mark.parametrize("kind", ["0x5", "0xf", "E3C9E316-0B5C-4DB8-817D-F92DF00215AE"])
def test_partitions_that_never_hold_files_are_passed_over(sda: Path, kind: str) -> None:
    assert describe(PLAIN | {"DEVTYPE": "partition", "ID_PART_ENTRY_TYPE": kind}, str(sda)) is None


def test_a_reader_without_a_card_is_empty(sda: Path) -> None:
    (sda / "size").write_text("0\n")
    assert describe(PLAIN | FAT, str(sda)) is None


def test_the_cd_with_the_makers_programs_is_no_volume(sda: Path) -> None:
    assert describe(PLAIN | FAT | {"ID_CDROM": "1", "ID_FS_TYPE": "iso9660"}, str(sda)) is None


def test_a_device_that_is_gone_already_is_none(tmp_path: Path) -> None:
    assert describe(PLAIN | FAT, str(tmp_path / "sdz")) is None


def test_a_label_written_by_a_chinese_system_is_read() -> None:
    assert decoded(escaped("执法01".encode("gbk"))) == "执法01"
    assert decoded(escaped("执法01".encode())) == "执法01"


@given(st.binary())
def test_no_label_breaks_the_dock(label: bytes) -> None:
    shown = decoded(escaped(label))
    assert label in (shown.encode(errors="surrogateescape"), shown.encode("gbk", errors="replace"))


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_every_label_in_utf_8_comes_back(label: str) -> None:
    assert decoded(escaped(label.encode())) == label


def escaped(label: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in label)
