"""What runs as root touches the recorder's device and nothing else."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.privileged import mounting, udevdata
from agent.privileged.find import Block, Finder, Volume
from agent.privileged.udevdata import Entry
from agent.privileged.verbs import InProcess

PORT = "pci-0000:00:03.0-usb-0:3.2"
ID_PATH = f"E:ID_PATH={PORT}"
DISK_PATH = f"{ID_PATH}:1.0-scsi-0:0:0:0"
TAGGED = "Q:recorder-station"


class Machine:
    """A sysfs with a disk behind a hub (its USB device is 1-3.2, with an `authorized` at every level above
    and below), and udev's database."""

    def __init__(self, root: Path) -> None:
        self.sys, self.data = root / "sys", root / "data"
        hub = self.sys / "devices/pci0000:00/0000:00:03.0/usb1/1-3"
        self.usb = hub / "1-3.2"
        self.scsi = self.usb / "1-3.2:1.0/host2/target2:0:0/2:0:0:0"
        self.disk = self.scsi / "block/sda"
        for folder in (self.disk / "sda1", self.data, self.sys / "class/block", self.sys / "bus/usb/devices"):
            folder.mkdir(parents=True)
        (self.sys / "class/usb").mkdir()
        for level in (hub.parent, hub, self.usb, self.usb / "1-3.2:1.0"):
            (level / "authorized").write_text("1")
        (self.scsi / "delete").write_text("")
        for usb, number in ((hub, "189:1"), (self.usb, "189:2")):
            (usb / "dev").write_text(number + "\n")
            (usb / "subsystem").symlink_to(self.sys / "class/usb")
            (self.sys / "bus/usb/devices" / usb.name).symlink_to(usb)
        (hub.parent / "speed").write_text("480\n")
        (hub / "bDeviceClass").write_text("09\n")
        (self.disk / "diskseq").write_text("42\n")
        (self.disk / "sda1/partition").write_text("1\n")
        self.block(self.disk, "8:0", DISK_PATH, TAGGED)
        self.block(self.disk / "sda1", "8:1", DISK_PATH, TAGGED, "E:ID_FS_TYPE=vfat")

    def block(self, sysfs: Path, number: str, *lines: str) -> None:
        (sysfs / "dev").write_text(number + "\n")
        (sysfs / "subsystem").symlink_to(self.sys / "class/block")
        (self.sys / "class/block" / sysfs.name).symlink_to(sysfs)
        self.know("b" + number, *lines)

    def know(self, device: str, *lines: str) -> None:
        (self.data / device).write_text("\n".join([*lines, "V:1", ""]))

    @property
    def finder(self) -> Finder:
        return Finder(sysfs=self.sys, data=self.data)

    @property
    def verbs(self) -> InProcess:
        return InProcess(Path("/nonexistent"), finder=self.finder)

    def said(self, name: str) -> dict[str, str]:
        return {path.parent.name: path.read_text() for path in self.sys.rglob(name)}


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def failing(verb: Callable[..., object], *arguments: object) -> int | None:
    with pytest.raises(OSError) as failed:
        verb(*arguments)
    return failed.value.errno


def test_the_recorder_is_disconnected_and_neither_its_hub_nor_its_bus(machine: Machine) -> None:
    assert machine.verbs.disconnect(PORT) == machine.usb
    assert machine.said("authorized") == {"usb1": "1", "1-3": "1", "1-3.2": "0", "1-3.2:1.0": "1"}
    assert machine.said("delete") == {"2:0:0:0": ""}


def test_a_recorder_without_a_disk_is_disconnected_all_the_same(machine: Machine) -> None:
    for device in ("b8:0", "b8:1"):
        (machine.data / device).unlink()
    machine.know("c189:2", ID_PATH)
    assert machine.verbs.disconnect(PORT) == machine.usb


def test_a_hub_is_nobodys_recorder(machine: Machine) -> None:
    above = PORT.removesuffix(".2")
    machine.know("c189:1", f"E:ID_PATH={above}", "E:RECORDER_STATION_GUARD=allowed")
    assert failing(machine.verbs.disconnect, above) == errno.ENODEV
    assert failing(machine.verbs.authorise, above) == errno.ENODEV
    assert set(machine.said("authorized").values()) == {"1"}


def test_a_disk_that_the_machine_has_mounted_is_not_taken_off_its_bus(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = [mounting.Mounted("8:1", "/", Path("/var"))]
    monkeypatch.setattr(mounting, "mounts", lambda: own)
    assert failing(machine.verbs.disconnect, PORT) == errno.EBUSY
    own[0] = mounting.Mounted("8:1", "/", Path("/nonexistent/sda1-42-1"))
    assert machine.verbs.disconnect(PORT) == machine.usb


def test_a_disk_that_is_not_on_usb_is_taken_off_its_scsi_bus(machine: Machine) -> None:
    scsi = machine.sys / "devices/pseudo_0/adapter0/host0/target0:0:0/0:0:0:0"
    (scsi / "block/sdb").mkdir(parents=True)
    (scsi / "delete").write_text("")
    machine.block(scsi / "block/sdb", "8:16", "E:ID_PATH=ata-1", TAGGED)
    assert machine.verbs.disconnect("ata-1") is None
    assert machine.said("delete") == {"2:0:0:0": "", "0:0:0:0": "1"}


def test_what_is_on_no_bus_cannot_be_disconnected(machine: Machine) -> None:
    loop = machine.sys / "devices/virtual/block/loop0"
    loop.mkdir(parents=True)
    machine.block(loop, "7:0", TAGGED)
    assert failing(machine.verbs.disconnect, "loop0") == errno.ENODEV


@pytest.mark.parametrize(
    ("verdict", "refusal"),
    [
        ((), errno.EACCES),
        (("E:RECORDER_STATION_GUARD=refused",), errno.EACCES),
        (("E:RECORDER_STATION_GUARD=allowed", "E:RECORDER_STATION_REFUSED=input"), errno.EACCES),
        (("E:RECORDER_STATION_GUARD=allowed",), None),
    ],
)
def test_only_what_the_guard_let_in_is_authorised(
    machine: Machine, verdict: tuple[str, ...], refusal: int | None
) -> None:
    machine.know("c189:2", ID_PATH, *verdict)
    (machine.usb / "authorized").write_text("0")
    if refusal:
        assert failing(machine.verbs.authorise, PORT) == refusal
    else:
        machine.verbs.authorise(PORT)
    assert machine.said("authorized")["1-3.2"] == ("0" if refusal else "1")
    assert failing(machine.verbs.authorise, PORT + ".1") == errno.ENODEV


def test_a_socket_names_one_disk_or_nothing(machine: Machine) -> None:
    find = machine.finder.volume
    assert find(Volume(PORT, 0, 0, 42)).sysfs == machine.disk
    assert find(Volume(PORT, 0, 1, 42)).sysfs == machine.disk / "sda1"
    for other in (
        Volume(PORT, 0, 1, 41),
        Volume(PORT, 0, 2, 42),
        Volume(PORT, 1, 1, 42),
        Volume(PORT + ".1", 0, 1, 42),
        Volume("sda", 0, 0, 42),
    ):
        assert failing(find, other) == errno.ENODEV


def test_a_disk_without_our_tag_is_none_of_ours(machine: Machine) -> None:
    """Also one that had it: `G:` are the tags of its past."""
    machine.know("b8:0", DISK_PATH, "G:recorder-station", "Q:other")
    assert failing(machine.finder.volume, Volume(PORT, 0, 1, 42)) == errno.ENODEV
    assert failing(machine.finder.volume, Volume(PORT, 0, 0, 42)) == errno.ENODEV


def test_two_disks_that_claim_one_socket_are_neither_of_them(machine: Machine) -> None:
    other = machine.disk.parent / "sdb"
    other.mkdir()
    (other / "diskseq").write_text("42\n")
    machine.block(other, "8:16", f"{ID_PATH}:1.1-scsi-0:0:0:0", TAGGED)
    assert failing(machine.finder.volume, Volume(PORT, 0, 0, 42)) == errno.ENODEV


def test_udevs_database_is_read_as_udevd_writes_it() -> None:
    text = b"S:disk/by-label/a\nI:1234\nE:ID_FS_LABEL_ENC=a=\\x20b\nE:ID_X=\xff\nG:seat\nG:old\nQ:seat\nV:1\n"
    assert udevdata.parse(text) == Entry(
        {"ID_FS_LABEL_ENC": "a=\\x20b", "ID_X": "\ufffd"}, frozenset({"seat"})
    )
    assert udevdata.parse(b"G:seat\n").tags == {"seat"}, "before systemd 247 there were no others"


def test_mounts_are_listed_so_that_they_can_be_unmounted_in_order(tmp_path: Path) -> None:
    table = tmp_path / "mountinfo"
    table.write_bytes(
        b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"
        b"2 1 8:17 / /run/station/mounts/a\\040b ro - vfat /dev/sdb1 ro\n"
        b"3 2 8:18 / /run/station/mounts/a\\040b/\xff ro - vfat /dev/sdb2 ro\n"
        b"4 1 8:19 / /run/station/mounts-other ro - vfat /dev/sdb3 ro\n"
    )
    inner = Path(os.fsdecode(b"/run/station/mounts/a b/\xff"))
    assert mounting.mounted_below(Path("/run/station/mounts"), table) == [inner, inner.parent]


def test_a_file_system_that_is_not_listed_is_never_given_to_the_kernel(machine: Machine) -> None:
    machine.know("b8:1", DISK_PATH, TAGGED, "E:ID_FS_TYPE=btrfs")
    assert failing(machine.verbs.mount, Volume(PORT, 0, 1, 42)) == errno.EINVAL


def test_what_is_no_block_device_is_not_held(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mounting, "DEV", tmp_path)
    block = Block(machine.disk, Entry({}, frozenset()))
    for target in ("/dev/null", ""):
        (tmp_path / "sda").unlink(missing_ok=True)
        (tmp_path / "sda").symlink_to(target) if target else (tmp_path / "sda").touch()
        with pytest.raises(OSError) as refused, mounting.held(block, 42):
            pass
        assert refused.value.errno in (errno.ENOTBLK, errno.ELOOP)


def test_every_file_system_is_the_agents_alone_and_never_panics_the_machine() -> None:
    for fs_type in mounting.MOUNTABLE:
        kind, options = mounting.kind_of(fs_type)
        if fs_type.startswith("ext"):
            assert "errors=remount-ro" in options and ("noload" in options or fs_type == "ext2")
        else:
            assert options.startswith("uid={uid},gid={gid},umask=0077,iocharset=utf8")
        assert kind == {"ntfs": "ntfs3"}.get(fs_type, fs_type)


def test_a_folder_left_by_a_mount_that_never_came_is_removed(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    InProcess(tmp_path).unmount(tmp_path / "m")
    assert not (tmp_path / "m").exists()


def test_only_folders_of_its_own_are_unmounted(tmp_path: Path) -> None:
    own = tmp_path / "mounts"
    (own / "a/b").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for strange in (tmp_path / "other", own / "a/b", own / "..", own / ".erase", own):
        assert failing(InProcess(own).unmount, strange) == errno.EINVAL
    assert (tmp_path / "other").is_dir() and (own / "a/b").is_dir()
