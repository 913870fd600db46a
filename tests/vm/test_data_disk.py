"""Whatever became of the data partition, the station comes up and says what is wrong. It never calls a clip
collected that lies in memory alone, and never overwrites a disk that may hold clips."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.vm.conftest import Boot
from tests.vm.machine import SLOTS, Hardware
from tests.vm.recorders import Card, recorder
from tests.vm.station import GIB, Order

#: Each boots stations of its own.
pytestmark = pytest.mark.vm_full

NEW = "station-data-new"
_NUMBER = "4"  # of the data partition in the image
Spoil = Callable[[Path, Path], None]


def label(disk: Path, name: str, number: str = _NUMBER) -> None:
    subprocess.run(["sfdisk", "--quiet", "--part-label", disk, number, name], check=True, capture_output=True)


def second_disk(path: Path, name: str, fs: str = "") -> None:
    """A disk with one partition, as an administrator may have taken it out of another station."""
    with path.open("wb") as file:
        file.truncate(GIB)
    table = f"label: gpt\nstart=2048, name={name}"
    subprocess.run(["sfdisk", "--quiet", path], input=table, text=True, check=True, capture_output=True)
    if fs:
        command: list[str | Path] = ["mke2fs", "-q", "-F", "-t", fs, "-E", f"offset={1 << 20}", path, "900M"]
        subprocess.run(command, check=True, capture_output=True)


def missing(disk: Path, _: Path) -> None:
    label(disk, "something-else")


def damaged(disk: Path, _: Path) -> None:
    """It says that it has a file system, and has none."""
    label(disk, "station-data")


def two(disk: Path, other: Path) -> None:
    label(disk, "station-data")
    second_disk(other, "station-data", "ext4")


def read_only(_: Path, other: Path) -> None:
    second_disk(other, "station-data", "ext4")


SPOILT = [
    pytest.param(missing, "missing", id="missing"),
    pytest.param(damaged, "damaged", id="damaged"),
    pytest.param(two, "two", id="two"),
    pytest.param(read_only, "read-only", id="read-only"),
]


@pytest.mark.parametrize(("spoil", "word"), SPOILT)
def test_without_a_usable_data_disk_it_comes_up_and_collects_nothing(
    boot: Boot, shelf: Path, tmp_path: Path, spoil: Spoil, word: str
) -> None:
    other = tmp_path / "other.img"
    second_disk(other, "unrelated")
    hardware = Hardware(disks=(other,), read_only=(other,) if word == "read-only" else ())
    machine = boot(Order(hardware=hardware, prepare=lambda disk: spoil(disk, other)))
    before = other.read_bytes()
    machine.until_ready()
    issue = machine.guest.wait_for(lambda s: [i for i in s["health"] if i["key"].startswith("data-disk")])
    assert word in str(issue), issue
    machine.plug(recorder(shelf / "1600001.img", Card("1600001", "fat32"), clips=1), SLOTS["01"])
    (problem, *_) = machine.guest.until_slot("01", "failed")["problems"]
    assert problem["key"] == "no-data-disk"
    assert other.read_bytes() == before


def test_a_second_disk_that_was_prepared_becomes_the_data_disk(
    boot: Boot, shelf: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.img"
    second_disk(other, NEW)
    machine = boot(Order(hardware=Hardware(disks=(other,))))
    machine.until_ready()
    assert machine.guest.sh("findmnt -no SOURCE /data") == "/dev/vdb1"
    machine.plug(recorder(shelf / "1600002.img", Card("1600002", "exfat"), clips=2), SLOTS["01"])
    machine.guest.until_slot("01", "collected")
    identity = machine.guest.read("/etc/machine-id")
    machine.power_off()

    # Its cable comes loose: the station does not begin a second life on its system's disk.
    machine.hardware.disks = ()
    machine.start()
    machine.until_ready()
    assert [i for i in machine.guest.until_ready()["health"] if i["key"] == "data-disk-missing"]
    machine.power_off()
    machine.hardware.disks = (other,)
    machine.start()
    machine.until_ready()
    assert machine.guest.read("/etc/machine-id") == identity


def test_a_new_station_goes_on_with_the_data_disk_of_a_broken_one(
    boot: Boot, shelf: Path, tmp_path: Path
) -> None:
    """The clips that the old one could not bring away arrive from the new one, under the old identity."""
    kept = tmp_path / "kept.img"
    second_disk(kept, NEW)
    old = boot(Order(hardware=Hardware(disks=(kept,)), share=False))
    old.until_ready()
    old.plug(recorder(shelf / "1600003.img", Card("1600003", "exfat"), clips=3), SLOTS["01"])
    old.guest.until_slot("01", "collected")
    identity = old.guest.read("/etc/machine-id")
    old.kill()
    new = boot(Order(hardware=Hardware(disks=(kept,))))
    new.until_ready()
    assert new.guest.read("/etc/machine-id") == identity
    new.guest.until_confirmed(3)
