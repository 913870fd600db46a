"""The doctor sees how a rack is wired: on trees of files as the kernel makes them in sysfs."""

import json
import os
from pathlib import Path

import pytest

from agent.cli.examined import Finding, Level
from agent.cli.rack import rack
from agent.cli.smart import disks_below, judged, smart
from agent.config import Config
from agent.config.schema import DockConfig, SlotConfig, StoreConfig
from agent.dock.hubs import Wiring

PCI = "pci-0000:01:00.0"


class Machine:
    """One controller: USB 2 on bus 1, USB 3 on bus 2; port N of one bus is the peer of N on the other."""

    def __init__(self, root: Path, ids: tuple[str, str] = ("0x8086", "0xa12f")) -> None:
        self.root = root
        self.hcd = root / "devices/platform/fd500000.pcie/pci0000:00/0000:00:00.0/0000:01:00.0"
        for bus, speed in ((1, 480), (2, 5000)):
            self._device(self.hcd / f"usb{bus}", speed, " 2.00" if bus == 1 else " 3.00", hub=True)
        (self.hcd / "vendor").write_text(ids[0] + "\n")
        (self.hcd / "device").write_text(ids[1] + "\n")
        self.sockets("", 4)

    def sockets(self, chain: str, count: int) -> None:
        """Of the hub at `chain`, on both buses: each is the other's peer."""
        for number in range(1, count + 1):
            ports = [self._port(bus, chain, number) for bus in (1, 2)]
            for port, peer in (ports, ports[::-1]):
                port.mkdir(parents=True)
                (port / "peer").symlink_to(peer)

    def hub(self, chain: str, count: int, *, only2: bool = False) -> None:
        for bus in (1,) if only2 else (1, 2):
            self.plug(chain, bus=bus, hub=True, version=" 2.10" if bus == 1 else " 3.00")
        self.sockets(chain, count)

    def plug(self, chain: str, speed: float = 0, *, bus: int = 1, hub: bool = False, **said: str) -> None:
        """A device into the socket at `chain` of a bus."""
        above, _, number = chain.rpartition(".")
        version = said.pop("version", " 2.00" if bus == 1 else " 3.00")
        path = self._path(bus, chain)
        self._device(path, speed or (480 if bus == 1 else 5000), version, hub=hub, **said)
        (path / "port").symlink_to(self._port(bus, above, int(number)))

    def _path(self, bus: int, chain: str) -> Path:
        path, parts = self.hcd / f"usb{bus}", chain.split(".")
        for i in range(len(parts) if chain else 0):
            path /= f"{bus}-{'.'.join(parts[: i + 1])}"
        return path

    def _port(self, bus: int, chain: str, number: int) -> Path:
        hub = self._path(bus, chain)
        return hub / (f"{hub.name}:1.0" if chain else f"{bus}-0:1.0") / f"{hub.name}-port{number}"

    def _device(self, path: Path, speed: float, version: str, *, hub: bool, **said: str) -> None:
        path.mkdir(parents=True, exist_ok=True)
        facts = {"speed": f"{speed:g}", "version": version, "bDeviceClass": "09" if hub else "00"}
        facts |= {"idVendor": "0bda", "idProduct": "0411"} | said
        for name, value in facts.items():
            (path / name).write_text(value + "\n")
        links = self.root / "bus/usb/devices"
        links.mkdir(parents=True, exist_ok=True)
        (links / path.name).symlink_to(path)
        (links / f"{path.name}:1.0").symlink_to(path)  # an interface is no device


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def configured(**ports: str) -> Config:
    slots = {name: SlotConfig(port=port) for name, port in ports.items()}
    return Config(dock=DockConfig(slots=slots))


def said(machine: Machine, config: Config) -> list[Finding]:
    return list(rack(config, machine.root))


def told(machine: Machine, config: Config, key: str) -> list[Finding]:
    return [finding for finding in said(machine, config) if finding.key == key]


def test_each_slot_is_told_with_its_hub_its_port_and_what_is_docked(machine: Machine) -> None:
    machine.hub("3", 4)
    machine.plug("3.2", product="DSJ-A7")
    config = configured(A1=f"{PCI}-usb-0:3.2", A2=f"platform-fd500000.pcie-{PCI}-usb-0:3.4:1.0-scsi-0:0:0:0")
    [docked] = told(machine, config, "slot-docked")
    assert docked.params == {
        "slot": "A1", "hub": "1-3", "port": 2, "controller": "0000:01:00.0",
        "product": "DSJ-A7", "mbits": 480,
    }  # fmt: skip
    [empty] = told(machine, config, "slot-empty")
    assert (empty.params["slot"], empty.params["hub"], empty.params["port"]) == ("A2", "1-3", 4)
    assert {finding.level for finding in said(machine, config)} == {Level.OK}


@pytest.mark.parametrize(
    ("port", "key"),
    [
        ("pci-0000:05:00.0-usb-0:1", "slot-no-controller"),
        ("pci-1:00.0-usb-0:1", "slot-no-controller"),
        (f"{PCI}-usb-0:9", "slot-no-port"),
        (f"{PCI}-usb-0:3.9", "slot-no-port"),
        (f"{PCI}-usb-0:9.1", "slot-no-port"),
        (f"{PCI}-usb-0:2.1", "slot-no-hub"),
        (f"{PCI}-usb-0:3.1.1", "slot-no-hub"),
    ],
)
def test_a_configured_port_that_this_machine_does_not_have_is_told(
    machine: Machine, port: str, key: str
) -> None:
    machine.hub("3", 4)
    machine.plug("3.1")
    [finding] = told(machine, configured(A1=port), key)
    assert (finding.level, finding.params) == (Level.FAIL, {"slot": "A1", "port": port})


def test_a_socket_that_is_not_on_usb_is_nobodys_fault(machine: Machine) -> None:
    keys = {finding.key for finding in said(machine, configured(A1="pci-0000:00:1f.2-ata-1", A2="rack:A2"))}
    assert keys == {"controller-ok"}


def test_a_recorder_that_could_be_faster_is_told_and_one_that_could_not_is_not(machine: Machine) -> None:
    machine.plug("1", version=" 2.10")  # knows USB 3, came up as USB 2
    machine.plug("2", version=" 2.00")
    machine.plug("3", bus=2)  # came up as USB 3: the same socket all the same
    machine.plug("4", 12)
    config = configured(**{f"A{number}": f"{PCI}-usb-0:{number}" for number in range(1, 5)})
    slots = {f.params["slot"]: (f.key, f.level, f.params["mbits"]) for f in said(machine, config)[1:]}
    assert slots == {
        "A1": ("slot-slow", Level.WARN, 480),
        "A2": ("slot-docked", Level.OK, 480),
        "A3": ("slot-docked", Level.OK, 5000),
        "A4": ("slot-very-slow", Level.WARN, 12),
    }


def test_a_hub_that_came_up_as_usb_2_only_is_told(machine: Machine) -> None:
    machine.hub("1", 4)
    machine.hub("2", 4, only2=True)
    [finding] = told(machine, configured(), "hub-slow")
    assert (finding.level, finding.params["hub"]) == (Level.WARN, "1-2")


def test_a_full_rack_is_counted_before_it_is_full(tmp_path: Path) -> None:
    machine = Machine(tmp_path, ("0x1106", "0x3483"))  # 32 devices
    for chain in ("1", "2", "3"):
        machine.hub(chain, 8)  # each is two devices
    ports = [f"{chain}.{number}" for chain in (1, 2, 3) for number in range(1, 9)]
    slots = {f"S{i}": f"{PCI}-usb-0:{port}" for i, port in enumerate(ports)}
    machine.plug("1.1")
    [finding] = [f for f in said(machine, configured(**slots)) if f.key.startswith("controller-")]
    assert (finding.key, finding.level) == ("controller-nearly-full", Level.WARN)
    assert finding.params == {"controller": "0000:01:00.0", "devices": 7, "hubs": 6, "free": 23, "limit": 32}
    machine.hub("4", 8)
    more = slots | {"S24": f"{PCI}-usb-0:4.1"}
    [finding] = told(machine, configured(**more), "controller-too-many")
    assert finding.level is Level.FAIL
    few = dict(list(slots.items())[:12])
    assert told(machine, configured(**few), "controller-ok")


def test_a_controllers_own_word_on_how_many_it_can_have_counts(machine: Machine) -> None:
    [finding] = told(machine, configured(), "controller-ok")
    assert finding.params["limit"] == 127
    said_there = machine.root / "kernel/debug/usb/xhci/0000:01:00.0/reg-cap"
    said_there.parent.mkdir(parents=True)
    said_there.write_text("CAPLENGTH = 0x01000020\nHCSPARAMS1 = 0x05000440\n")
    [finding] = told(machine, configured(), "controller-ok")
    assert finding.params["limit"] == 64


def test_two_devices_with_one_serial_are_told_with_their_slots(machine: Machine) -> None:
    machine.hub("3", 4)
    for chain, serial in (("1", "0001"), ("2", "0002"), ("3.1", "0001"), ("4", "")):
        machine.plug(chain, serial=serial)
    config = configured(A1=f"{PCI}-usb-0:1", B1=f"{PCI}-usb-0:3.1")
    [finding] = told(machine, config, "serial-twice")
    assert finding.params == {"serial": "0001", "where": ["A1", "B1"]}


def test_a_machine_without_usb_is_told_and_a_rack_of_folders_needs_none(tmp_path: Path) -> None:
    assert [finding.key for finding in rack(Config(), tmp_path)] == ["rack-no-usb"]
    assert list(rack(Config(dock=DockConfig(udev=False)), tmp_path)) == []


def test_devices_are_listed_as_they_hang_on_each_other(machine: Machine) -> None:
    machine.hub("3", 12)
    machine.plug("3.10")
    machine.plug("3.2")
    names = [usb.name for usb in Wiring(machine.root).devices]
    assert names == ["usb1", "1-3", "1-3.2", "1-3.10", "usb2", "2-3"]


NVME = {"smart_status": {"passed": True}, "nvme_smart_health_information_log": {"percentage_used": 3}}
SATA = {
    "smart_status": {"passed": True},
    "ata_smart_attributes": {"table": [{"id": 5, "raw": {"value": 0}}, {"id": 9, "raw": {"value": 9999}}]},
    "ata_device_statistics": {
        "pages": [{"table": [{"name": "Percentage Used Endurance Indicator", "value": 83}]}]
    },
}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (NVME, [("smart-ok", Level.OK)]),
        (NVME | {"nvme_smart_health_information_log": {"percentage_used": 104}}, [("disk-worn", Level.FAIL)]),
        (
            NVME | {"nvme_smart_health_information_log": {"percentage_used": 1, "critical_warning": 4}},
            [("smart-failing", Level.FAIL)],
        ),
        (
            NVME | {"nvme_smart_health_information_log": {"percentage_used": 1, "media_errors": 2}},
            [("smart-errors", Level.WARN), ("smart-ok", Level.OK)],
        ),
        (SATA, [("disk-wearing", Level.WARN)]),
        (
            {"smart_status": {"passed": False}, "ata_smart_attributes": {"table": []}},
            [("smart-failing", Level.FAIL)],
        ),
        (
            {
                "smart_status": {"passed": True},
                "ata_smart_attributes": {"table": [{"id": 197, "raw": {"value": 8}}]},
            },
            [("smart-errors", Level.WARN), ("smart-ok", Level.OK)],
        ),
        ({}, [("smart-silent", Level.INFO)]),
    ],
)
def test_a_disk_is_judged_by_what_it_says_of_itself(
    answer: dict[str, object], expected: list[tuple[str, Level]]
) -> None:
    assert [(finding.key, finding.level) for finding in judged("sda", answer)] == expected


def test_the_disks_below_partitions_and_raids_are_found(tmp_path: Path) -> None:
    number = tmp_path.stat().st_dev
    raid = tmp_path / "devices/md0/slaves"
    raid.mkdir(parents=True)
    for disk, part in (("sda", "sda1"), ("nvme0n1", "nvme0n1p1")):
        folder = tmp_path / "devices" / disk / part
        folder.mkdir(parents=True)
        (folder / "partition").write_text("1")
        (raid / part).symlink_to(folder)
    node = tmp_path / f"dev/block/{os.major(number)}:{os.minor(number)}"
    node.parent.mkdir(parents=True)
    node.symlink_to(tmp_path / "devices/md0")
    assert disks_below(tmp_path, tmp_path) == ["nvme0n1", "sda"]


def test_without_the_program_or_the_right_the_doctor_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.cli.smart.disks_below", lambda path: ["sda"])
    monkeypatch.setenv("PATH", str(tmp_path))
    config = Config(store=StoreConfig(path=tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert [finding.key for finding in smart(config)] == ["smart-needs-root"]
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert [finding.key for finding in smart(config)] == ["smart-no-program"]
    program = tmp_path / "smartctl"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(NVME)}'\nexit 4\n")
    program.chmod(0o755)
    assert [finding.key for finding in smart(config)] == ["smart-ok"]
    program.write_text("#!/bin/sh\necho no such device\nexit 2\n")
    assert [finding.key for finding in smart(config)] == ["smart-silent"]
