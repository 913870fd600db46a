"""The USB guard at ports of the real image: what is refused gets no driver, is shown, and disturbs nobody."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.vm.conftest import Boot
from tests.vm.machine import SLOTS, Hardware, Machine, Port
from tests.vm.recorders import Card, recorder
from tests.vm.station import CONFIG, Order
from tests.vm.usbredir import DISK, KEYBOARD, Odd, endpoint, interface, plug_odd

SLOT = "07"
#: usb_id stops reading at a descriptor of two bytes, the kernel does not.
SHORT = b"\x02\xee"
NETWORK = Odd(
    interface(0, "080650", [endpoint(0x81, 3, 8, 7), endpoint(0x82, 2, 512), endpoint(0x03, 2, 512)]),
    interfaces=1,
    vendor=0x0B95,  # asix: its driver goes by these numbers alone
    product=0x7720,
)


def drivers(machine: Machine) -> set[str]:
    """Who has bound anything at USB."""
    bound = machine.guest.sh("readlink /sys/bus/usb/devices/*:*/driver || true")
    return {line.rpartition("/")[2] for line in bound.splitlines()}


def refused(machine: Machine, slot: str = SLOT) -> dict[str, str]:
    """The parameters of the refusal that a slot shows, once it does."""
    shown = machine.guest.until_slot(slot, "failed")
    (problem,) = shown["problems"]
    assert problem["key"] == "refused-device"
    return {name: str(value) for name, value in problem["params"].items()}


@contextmanager
def plugged_and_pulled(machine: Machine) -> Iterator[None]:
    """What a test plugs into `SLOT` goes, and so does all that was shown of it."""
    yield
    machine.pull(SLOTS[SLOT])
    assert machine.guest.until_slot(SLOT, "empty")["problems"] == []


def test_a_keyboard_is_refused_shown_and_forgotten_when_it_is_pulled(rack: Machine) -> None:
    rack.plug_device("usb-kbd", SLOTS[SLOT])
    with plugged_and_pulled(rack):
        told = refused(rack)
        assert (told["kind"], told["product"]) == ("input", "QEMU USB Keyboard")
        assert "usbhid" not in drivers(rack)
        log = rack.guest.sh("journalctl --boot --identifier=recorder-station-guard --output=cat")
        assert f"at {SLOTS[SLOT].id_path} refused: input" in log


def test_a_disk_that_is_also_a_keyboard_is_refused_as_a_whole(rack: Machine, tmp_path: Path) -> None:
    plug_odd(rack, Odd(DISK + KEYBOARD, 2), SLOTS[SLOT], tmp_path)
    with plugged_and_pulled(rack):
        assert refused(rack)["kind"] == "mixed"
        assert drivers(rack) <= {"hub"}


def test_a_keyboard_that_hides_behind_a_descriptor_is_found(rack: Machine, tmp_path: Path) -> None:
    """udev reads a plain disk; the interfaces that the kernel made of it tell otherwise."""
    plug_odd(rack, Odd(DISK + SHORT + KEYBOARD, 2), SLOTS[SLOT], tmp_path)
    with plugged_and_pulled(rack):
        assert refused(rack)["kind"] == "unknown"
        assert drivers(rack) <= {"hub"}
        rack.guest.sh("udevadm trigger --action=add --subsystem-match=usb; udevadm settle")
        assert drivers(rack) <= {"hub"}


def test_a_disk_with_the_numbers_of_a_network_card_is_a_disk_and_nothing_else(
    rack: Machine, tmp_path: Path
) -> None:
    plug_odd(rack, NETWORK, SLOTS[SLOT], tmp_path)
    with plugged_and_pulled(rack):
        rack.guest.wait_until(lambda: "usb-storage" in drivers(rack))
        assert "asix" not in rack.guest.sh("cut -d' ' -f1 /proc/modules").split()


def test_a_recorder_that_does_not_turn_into_a_disk_is_said_to_be_charging(
    rack: Machine, tmp_path: Path
) -> None:
    rack.plug_device("usb-mtp", SLOTS[SLOT], rootdir=str(tmp_path))
    with plugged_and_pulled(rack):
        (problem,) = rack.guest.until_slot(SLOT, "failed")["problems"]
        assert problem["key"] == "charging-only"


def test_what_is_refused_behind_a_hub_disturbs_no_recorder_beside_it(rack: Machine, shelf: Path) -> None:
    """Nor when everything is judged once more."""
    hub = Port(1, 12)
    rack.plug_device("usb-hub", hub)
    image = recorder(shelf / "1900001.img", Card("1900001"), clips=3)
    rack.plug(image, SLOTS[SLOT])
    rack.guest.wait_until(lambda: f"-{hub.number}:1.0" in rack.guest.sh("ls /sys/bus/usb/drivers/hub"))
    behind = {"bus": "xhci1.0", "port": f"{hub.number}.2"}
    rack.qmp("device_add", driver="usb-tablet", id="behind", **behind)
    assert refused(rack, f"{hub.id_path}.2")["kind"] == "input"
    assert rack.guest.until_slot(SLOT, "collected")["problems"] == []
    rack.guest.sh("udevadm trigger --action=add --subsystem-match=usb; udevadm settle")
    assert "usbhid" not in drivers(rack)
    rack.qmp("device_del", id="behind")
    rack.guest.until_slot(f"{hub.id_path}.2", "empty")


@pytest.mark.vm_full
def test_a_scanner_works_at_its_own_port_and_input_devices_nowhere_else(boot: Boot, tmp_path: Path) -> None:
    """All are there when the machine is switched on: udev judges them before their ports have names."""
    scanner, other = Port(1, 9), Port(1, 10)
    config = {**CONFIG, "dock": {**CONFIG["dock"], "input_ports": {"scanner": scanner.id_path}}}
    devices = [f"usb-kbd,id=scanner,bus=xhci1.0,port={scanner.number}"]
    devices += [f"usb-tablet,bus=xhci1.0,port={other.number}"]
    more = [part for device in devices for part in ("-device", device)]
    machine = boot(Order(config=config, hardware=Hardware(more=more)))
    machine.until_ready()
    assert refused(machine, other.id_path)["kind"] == "input"
    machine.guest.wait_until(lambda: "usbhid" in drivers(machine))
    status = machine.guest.until_ready()
    assert scanner.id_path not in {slot["slot"] for slot in status["slots"]}
    machine.qmp("device_del", id="scanner")
    machine.guest.wait_until(lambda: "usbhid" not in drivers(machine))
    machine.plug_device("usb-mtp", scanner, rootdir=str(tmp_path))
    assert refused(machine, scanner.id_path)["kind"] == "port"
