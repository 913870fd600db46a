"""One image, many stations: each makes at its first start what is its own, and takes what IT filled in."""

import csv
import io
from pathlib import Path

import pytest

from tests.vm.arrival import differs
from tests.vm.conftest import Boot
from tests.vm.credentials import CENTRE
from tests.vm.machine import SLOTS, Hardware, Machine
from tests.vm.recorders import Card, held, recorder
from tests.vm.station import Order

#: Two stations at once; nine minutes.
pytestmark = pytest.mark.vm_full

#: The board's serial number, as QEMU tells it to the guest's firmware.
SERIAL = "BOARD-0042"
SECRET = "not for anybody's eyes 8842"
BROKEN = "station:\n  name: somewhere\n  langauge: en\ntargets: [nonsense\n"

OWN = (
    "/etc/machine-id",
    "/data/identity/machine-id",
    "/data/identity/station.key",
    "/data/identity/station.crt",
    "/proc/sys/kernel/hostname",
)


def own(machine: Machine) -> dict[str, bytes]:
    """What no two stations may share."""
    found = {path: machine.guest.read(path) for path in OWN}
    found["file system"] = machine.guest.sh("blkid -o value -s UUID $(findmnt -no SOURCE /data)").encode()
    return found


def fleet() -> str:
    """Two stations; this one is told by its board's serial number."""
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["serial", "name", "target.kind", "target.path", "slots"])
    for serial, name in ((SERIAL, "辽阳-07"), ("BOARD-0043", "other")):
        rows.writerow([serial, name, "folder", CENTRE, f"first={SLOTS['03'].id_path}"])
    return text.getvalue()


@pytest.fixture
def second(boot: Boot) -> Machine:
    """Another copy of the image: its station.yaml is broken, a row of the fleet and a secret are its own."""
    hardware = Hardware(more=("-smbios", f"type=1,serial={SERIAL}"))
    files = {"stations.csv": fleet(), "secrets/agency": SECRET}
    return boot(Order(config=BROKEN, files=files, hardware=hardware))


def test_two_copies_of_one_image_are_two_stations_and_a_broken_file_stops_neither(
    rack: Machine, second: Machine, shelf: Path
) -> None:
    """One start for three promises: a start takes minutes here."""
    second.until_ready()
    first_own, second_own = own(rack), own(second)
    same = [path for path in first_own if first_own[path] == second_own[path]]
    assert not same, f"the two stations share {same}"
    assert all(value.strip() for value in (first_own | second_own).values())

    # The faults are told with file and line, and the station collects with its defaults all the same.
    faults = second.guest.wait_for(lambda s: [i for i in s["health"] if i["key"] == "config-invalid"])
    assert "station.yaml:" in str(faults), faults
    image = recorder(shelf / "1700001.img", Card("1700001", "fat32"), clips=2)
    second.plug(image, SLOTS["03"])
    slot = second.guest.until_slot(SLOTS["03"].id_path, "collected")
    assert slot["recorder"] == "1700001"

    # The secret is the agent's to read, and is nowhere on the boot partition any more.
    assert second.guest.read("/data/secrets/agency").decode() == SECRET
    assert second.guest.sh("stat -c '%U %G %a' /data/secrets/agency") == "root recorder-station 640"
    # Looked for in the guest: the whole partition through the shell would take more memory than there is.
    assert second.guest.run("grep", "--quiet", "--text", SECRET, "/dev/vda1", check=False).rc == 1


def test_a_row_of_the_fleet_gives_a_station_its_name_target_and_slots(boot: Boot, shelf: Path) -> None:
    hardware = Hardware(more=("-smbios", f"type=1,serial={SERIAL}"))
    machine = boot(
        Order(config="station: {language: en}\n", files={"stations.csv": fleet()}, hardware=hardware)
    )
    machine.until_ready()
    status = machine.guest.status()
    assert status is not None and status["station"] == "辽阳-07"
    image = recorder(shelf / "1700002.img", Card("1700002", "exfat"), clips=3)
    machine.plug(image, SLOTS["03"])
    machine.guest.until_slot("first", "collected")
    machine.guest.until_confirmed(3)
    assert differs(machine.centre, "1700002", held(image)) == ""
