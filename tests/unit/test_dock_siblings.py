"""A recorder is not collected while a part of it is still to come."""

from pathlib import Path

import pytest

from agent.dock.siblings import awaited
from tests.dock_house import volume

LUN = "1-3/1-3:1.0/host2/target2:0:0/2:0:0:"


class Recorder:
    """A USB device with two LUNs in a sysfs, and what udev has examined of it."""

    def __init__(self, root: Path) -> None:
        self.sys, self.data = root / "sys", root / "data"
        self.data.mkdir()
        self.block(0, "sda", "8:0")
        self.block(0, "sda/sda1", "8:1")
        (self.path(0, "sda/sda1") / "partition").write_text("1\n")
        self.examine("8:0", "8:1")

    def path(self, lun: int, name: str) -> Path:
        return self.sys / f"{LUN}{lun}/block/{name}"

    def block(self, lun: int, name: str, number: str, sectors: int = 2048) -> None:
        self.lun(lun)
        self.path(lun, name).mkdir(parents=True)
        (self.path(lun, name) / "dev").write_text(number + "\n")
        (self.path(lun, name) / "size").write_text(f"{sectors}\n")

    def lun(self, lun: int, kind: str = "0") -> None:
        folder = self.sys / f"{LUN}{lun}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "type").write_text(kind + "\n")

    def examine(self, *numbers: str) -> None:
        for number in numbers:
            (self.data / f"b{number}").touch()

    def awaited(self) -> set[str]:
        first = volume("/dev/sda1", sysfs=str(self.path(0, "sda/sda1")))
        return awaited(first, self.sys, self.data)


@pytest.fixture
def recorder(tmp_path: Path) -> Recorder:
    return Recorder(tmp_path)


def test_nothing_is_awaited_of_a_recorder_that_is_all_there(recorder: Recorder) -> None:
    assert recorder.awaited() == set()


def test_a_partition_that_udev_has_not_examined_is_awaited(recorder: Recorder) -> None:
    recorder.block(0, "sda/sda2", "8:2")
    assert recorder.awaited() == {"sda2"}
    recorder.examine("8:2")
    assert recorder.awaited() == set()


def test_a_second_lun_is_awaited_from_its_discovery_on(recorder: Recorder) -> None:
    recorder.lun(1)
    assert recorder.awaited() == {"2:0:0:1"}
    recorder.block(1, "sdb", "8:16")
    assert recorder.awaited() == {"sdb"}
    recorder.examine("8:16")
    assert recorder.awaited() == set()


def test_an_empty_card_slot_and_what_is_no_disk_are_not_awaited(recorder: Recorder) -> None:
    recorder.block(1, "sdb", "8:16", sectors=0)
    recorder.lun(2, kind="5")  # a CD drive with the maker's programs
    assert recorder.awaited() == set()


def test_a_folder_of_the_rack_has_no_siblings() -> None:
    assert awaited(volume("x")) == set()
