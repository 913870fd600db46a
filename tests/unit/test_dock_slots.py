"""Names of slots come from the configuration; a port without one collects all the same."""

from agent.dock.slots import slot_of
from tests.dock_house import Slot, volume

PORT = "pci-0000:00:03.0-usb-0:3"


def test_a_named_port_is_its_slot() -> None:
    assert slot_of(volume("/dev/sda1", PORT, lun=1), {"A1": Slot(PORT)}) == "A1"


def test_each_lun_of_a_reader_is_a_slot() -> None:
    named = {"R": Slot(PORT, reader=True)}
    assert [slot_of(volume("/dev/sda1", PORT, lun=lun), named) for lun in (0, 1)] == ["R.0", "R.1"]


def test_an_unnamed_port_is_called_by_its_path() -> None:
    assert slot_of(volume("/dev/sda1", PORT), {"A1": Slot(PORT + ".1")}) == PORT


def test_a_folder_of_the_rack_is_the_slot_of_its_name() -> None:
    assert slot_of(volume("x", "rack:7"), {}) == "7"
    assert slot_of(volume("x", "rack:7"), {"seven": Slot("rack:7")}) == "seven"


def test_a_whole_id_path_may_stand_in_the_configuration() -> None:
    assert slot_of(volume("x", PORT), {"A1": Slot(PORT + ":1.0-scsi-0:0:0:0")}) == "A1"
    assert slot_of(volume("x", PORT), {"A1": Slot("pci-0000:00:03.0-usbv2-0:3")}) == "A1"
