"""A slot is a physical socket, whatever Linux calls the device in it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.privileged.ports import Socket, locate, parse

PCI = "pci-0000:00:03.0"


@pytest.mark.parametrize(
    ("id_path", "port", "lun"),
    [
        (f"{PCI}-usb-0:3:1.0-scsi-0:0:0:1", f"{PCI}-usb-0:3", 1),
        (f"{PCI}-usb-0:3.2.1:1.0-scsi-0:0:0:0", f"{PCI}-usb-0:3.2.1", 0),
        (f"{PCI}-usbv2-0:3:1.0-scsi-0:0:0:0", f"{PCI}-usb-0:3", 0),
        (f"{PCI}-usbv3-0:3:1.0-scsi-0:0:0:7", f"{PCI}-usb-0:3", 7),
        (f"{PCI}-usb-0:3:1.0-scsi-0:0:0:10", f"{PCI}-usb-0:3", 10),
        (f"{PCI}-usb-0:3:1.0", f"{PCI}-usb-0:3", 0),
        (f"{PCI}-usb-0:3", f"{PCI}-usb-0:3", 0),
        ("platform-fe980000.usb-usb-0:1:1.0-scsi-0:0:0:0", "platform-fe980000.usb-usb-0:1", 0),
        (
            "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2:1.0-scsi-0:0:0:0",
            "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.2",
            0,
        ),
        ("platform-dummy_hcd.0-usb-0:1:1.0-scsi-0:0:0:0", "platform-dummy_hcd.0-usb-0:1", 0),
    ],
)
def test_id_path_names_socket_and_lun(id_path: str, port: str, lun: int) -> None:
    assert parse(id_path) == Socket(port, lun)


@pytest.mark.parametrize(
    "id_path", ["", "pci-0000:00:1f.2-ata-1.0", "virtio-pci-0000:00:04.0", "usb", "-usb-"]
)
def test_what_is_not_on_usb_names_no_usb_socket(id_path: str) -> None:
    assert parse(id_path) is None


@given(
    st.sampled_from([PCI, "platform-fe980000.usb", "platform-xhci-hcd.0"]),
    st.lists(st.integers(1, 31), min_size=1, max_size=6),
    st.integers(0, 15),
    st.sampled_from(["usb", "usbv2", "usbv3"]),
)
def test_every_chain_of_hubs_is_its_own_socket(hub: str, chain: list[int], lun: int, bus: str) -> None:
    ports = ".".join(map(str, chain))
    assert parse(f"{hub}-{bus}-0:{ports}:1.0-scsi-0:0:0:{lun}") == Socket(f"{hub}-usb-0:{ports}", lun)


def test_a_device_on_no_usb_port_is_called_by_its_path_or_name() -> None:
    assert locate("platform-x", "/sys/devices/virtual/block/loop0") == Socket("platform-x", 0)
    assert locate("", "/sys/devices/virtual/block/loop0") == Socket("loop0", 0)


class Tree:
    """A sysfs with one controller: USB 2 ports on bus 1, USB 3 ports on bus 2."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.hcd = root / "devices/pci0000:00/0000:00:03.0"
        self.bus(1, "480")
        self.bus(2, "5000")

    def bus(self, number: int, speed: str) -> None:
        bus = self.hcd / f"usb{number}"
        bus.mkdir(parents=True)
        (bus / "speed").write_text(speed + "\n")

    def port(self, hub: str, number: int) -> Path:
        """Port `number` of a hub; of the bus itself when `hub` is `usb1`."""
        if hub.startswith("usb"):
            port = self.hcd / hub / f"{hub[3:]}-0:1.0" / f"{hub}-port{number}"
        else:
            port = self.device(hub) / f"{hub}:1.0" / f"{hub}-port{number}"
        port.mkdir(parents=True, exist_ok=True)
        return port

    def device(self, name: str) -> Path:
        """The folder of `2-1.4`: below its hub, `2-1`."""
        bus, chain = name.split("-")
        hubs = chain.split(".")
        path = self.hcd / f"usb{bus}"
        for i in range(len(hubs)):
            path /= f"{bus}-{'.'.join(hubs[: i + 1])}"
        path.mkdir(parents=True, exist_ok=True)
        return path

    def plug(self, name: str, port: Path) -> str:
        """A disk at `port`; returns its folder."""
        device = self.device(name)
        (device / "port").symlink_to(port)
        block = device / f"{name}:1.0/host0/target0:0:0/0:0:0:0/block/sda"
        block.mkdir(parents=True)
        return str(block)


def pair(one: Path, other: Path) -> None:
    (one / "peer").symlink_to(other)
    (other / "peer").symlink_to(one)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_usb_3_and_usb_2_contacts_of_a_socket_are_one_port(tree: Tree) -> None:
    usb2, usb3 = tree.port("usb1", 3), tree.port("usb2", 1)
    pair(usb2, usb3)
    fast = locate(f"{PCI}-usb-0:1:1.0-scsi-0:0:0:0", tree.plug("2-1", usb3), tree.root)
    slow = locate(f"{PCI}-usb-0:3:1.0-scsi-0:0:0:0", tree.plug("1-3", usb2), tree.root)
    assert fast == slow == Socket(f"{PCI}-usb-0:3", 0)


def test_ports_of_a_hub_are_folded_alike(tree: Tree) -> None:
    usb2, usb3 = tree.port("1-3", 2), tree.port("2-1", 4)
    pair(usb2, usb3)
    fast = locate(f"{PCI}-usbv3-0:1.4:1.0-scsi-0:0:0:1", tree.plug("2-1.4", usb3), tree.root)
    assert fast == Socket(f"{PCI}-usb-0:3.2", 1)


def test_a_partition_is_in_the_socket_of_its_disk(tree: Tree) -> None:
    usb2, usb3 = tree.port("usb1", 3), tree.port("usb2", 1)
    pair(usb2, usb3)
    partition = Path(tree.plug("2-1", usb3)) / "sda1"
    partition.mkdir()
    assert locate(f"{PCI}-usb-0:1:1.0-scsi-0:0:0:0", str(partition), tree.root).port == f"{PCI}-usb-0:3"


def test_a_usb_3_port_without_companion_is_not_taken_for_the_usb_2_port_of_its_number(tree: Tree) -> None:
    id_path = f"{PCI}-usb-0:1:1.0-scsi-0:0:0:0"
    fast = locate(id_path, tree.plug("2-1", tree.port("usb2", 1)), tree.root)
    slow = locate(id_path, tree.plug("1-1", tree.port("usb1", 1)), tree.root)
    assert slow.port == f"{PCI}-usb-0:1"
    assert fast.port == f"{PCI}-usbv3-0:1"


def test_without_sysfs_the_path_alone_names_the_socket(tmp_path: Path) -> None:
    found = locate(f"{PCI}-usb-0:1:1.0-scsi-0:0:0:0", "/sys/devices/elsewhere/sda", tmp_path)
    assert found == Socket(f"{PCI}-usb-0:1", 0)
