"""What runs as root touches the recorder's device and nothing else."""

import errno
import os
from pathlib import Path

import pytest

from agent.privileged import verbs


@pytest.fixture
def stick(tmp_path: Path) -> Path:
    """A disk behind a hub: its USB device 1-3.2, with an `authorized` at every level above and below."""
    hub = tmp_path / "sys/devices/pci0000:00/0000:00:03.0/usb1/1-3"
    interface = hub / "1-3.2/1-3.2:1.0"
    block = interface / "host2/target2:0:0/2:0:0:0/block/sda/sda1"
    block.mkdir(parents=True)
    for level in (hub.parent, hub, hub / "1-3.2", interface):
        (level / "authorized").write_text("1")
    (block.parents[2] / "delete").write_text("")
    return block


def said(root: Path, name: str) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in root.rglob(name)}


def test_the_recorder_is_disconnected_and_neither_its_hub_nor_its_bus(stick: Path, tmp_path: Path) -> None:
    usb = verbs.disconnect(stick, tmp_path / "sys")
    assert usb is not None and usb.name == "1-3.2"
    assert said(tmp_path, "authorized") == {"usb1": "1", "1-3": "1", "1-3.2": "0", "1-3.2:1.0": "1"}
    assert said(tmp_path, "delete") == {"2:0:0:0": ""}


def test_a_disk_that_is_not_on_usb_is_taken_off_its_scsi_bus(tmp_path: Path) -> None:
    scsi = tmp_path / "sys/devices/pseudo_0/adapter0/host0/target0:0:0/0:0:0:0"
    (scsi / "block/sdb").mkdir(parents=True)
    (scsi / "delete").write_text("")
    assert verbs.disconnect(scsi / "block/sdb", tmp_path / "sys") is None
    assert (scsi / "delete").read_text() == "1"


def test_a_link_out_of_sysfs_is_not_followed(stick: Path, tmp_path: Path) -> None:
    sysfs = tmp_path / "other"
    sysfs.mkdir()
    (sysfs / "block").symlink_to(stick)
    with pytest.raises(OSError) as refused:
        verbs.disconnect(sysfs / "block", sysfs)
    assert refused.value.errno == errno.ENODEV
    assert set(said(tmp_path, "authorized").values()) == {"1"}


def test_what_is_on_no_bus_cannot_be_disconnected(tmp_path: Path) -> None:
    loop = tmp_path / "devices/virtual/block/loop0"
    loop.mkdir(parents=True)
    with pytest.raises(OSError):
        verbs.disconnect(loop, tmp_path)


def test_mounts_are_listed_so_that_they_can_be_unmounted_in_order(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        b"2 1 8:17 / /run/station/mounts/a\\040b ro - vfat /dev/sdb1 ro\n"
        b"3 2 8:18 / /run/station/mounts/a\\040b/\xff ro - vfat /dev/sdb2 ro\n"
        b"4 1 8:19 / /run/station/mounts-other ro - vfat /dev/sdb3 ro\n"
    )
    inner = Path(os.fsdecode(b"/run/station/mounts/a b/\xff"))
    assert verbs.mounted_below(Path("/run/station/mounts"), table) == [inner, inner.parent]


def test_a_file_system_that_is_not_listed_is_never_given_to_the_kernel(tmp_path: Path) -> None:
    with pytest.raises(OSError) as refused:
        verbs.mount_readonly("/dev/null", "btrfs", tmp_path / "m", 0, 0)
    assert refused.value.errno == errno.EINVAL
    assert not (tmp_path / "m").exists()


def test_what_is_no_block_device_is_not_mounted(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(bytes(1024))
    (tmp_path / "link").symlink_to("/dev/null")
    for node in (tmp_path / "image", tmp_path / "link", Path("/dev/null")):
        with pytest.raises(OSError) as refused:
            verbs.mount_readonly(str(node), "vfat", tmp_path / "m", 0, 0)
        assert refused.value.errno == errno.ENOTBLK
    assert not (tmp_path / "m").exists()


def test_a_folder_left_by_a_mount_that_never_came_is_removed(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    verbs.unmount(tmp_path / "m")
    assert not (tmp_path / "m").exists()
