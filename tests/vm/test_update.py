"""A signed update goes into the other slot and is kept when its agent is ready; nothing else does anything.

One station goes through all of it, in this order: what was stored before must be there after each step.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vm import bundles
from tests.vm.arrival import differs, until_all_confirmed
from tests.vm.credentials import CENTRE
from tests.vm.machine import SLOTS, Machine
from tests.vm.recorders import Card, held, recorder
from tests.vm.station import GIB, Order, station

#: A bundle is made, installed and tried twice; twenty minutes.
pytestmark = pytest.mark.vm_full

#: A bundle is copied and unpacked beside the clips before it is installed.
DISK = 7 * GIB
#: Ten minutes on a station; here a trial that is in vain should not take that long.
SHORT_TRIAL = {
    "systemd.unit-dropin.recorder-station-trial.timer~test": "[Timer]\nOnBootSec=\nOnBootSec=3min\n"
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vm")


@pytest.fixture(scope="module")
def machine(folder: Path) -> Iterator[Machine]:
    made = station(folder / "m", Order(size=DISK))
    try:
        with made:
            made.until_ready()
            image = recorder(folder / "1500001.img", Card("1500001", "fat32"), clips=3)
            made.plug(image, SLOTS["01"])
            made.guest.until_slot("01", "collected")
            until_all_confirmed(made, ["1500001"])
            made.pull_all()
            yield made
    finally:
        made.disk.unlink()


@pytest.fixture(scope="module")
def good(machine: Machine) -> Path:
    return bundles.good(machine.centre / "good.raucb")


def slots(machine: Machine) -> dict[str, Any]:
    """What `recorder-station update --status` says."""
    said = machine.guest.run("recorder-station", "update", "--status", "--json").out
    return dict(json.loads(said))


def running(machine: Machine) -> str:
    return machine.guest.sh("grep -o 'rauc.slot=.' /proc/cmdline").removeprefix("rauc.slot=")


def untouched(machine: Machine, folder: Path) -> None:
    """The catalog and the centre still have what there was before any update, and it still collects."""
    rows = machine.guest.clips()
    assert [row["state"] for row in rows if row["recorder"] == "1500001"] == ["confirmed"] * 3, rows
    assert differs(machine.centre, "1500001", held(folder / "1500001.img")) == ""


def test_a_tampered_bundle_is_refused_and_changes_nothing(machine: Machine, folder: Path, good: Path) -> None:
    bad = bundles.tampered(good, machine.centre / "tampered.raucb")
    before = machine.guest.read("/boot/grub/grubenv")
    ran = machine.guest.run("recorder-station", "update", f"{CENTRE}/{bad.name}", check=False, within=1200)
    bad.unlink()
    assert ran.rc == 1, ran
    assert machine.guest.read("/boot/grub/grubenv") == before
    found = slots(machine)
    assert found["running"] == "A" and found["slots"]["B"]["state"] == "bad", found


def test_a_signed_update_boots_from_the_other_slot_and_is_kept(
    machine: Machine, folder: Path, good: Path
) -> None:
    identity = machine.guest.read("/etc/machine-id")
    machine.guest.run("recorder-station", "update", f"{CENTRE}/{good.name}", within=1200)
    assert slots(machine)["slots"]["B"]["state"] == "waits"
    machine.guest.reboot()
    machine.until_reset()
    machine.guest.up().until_ready()
    assert running(machine) == "B"
    machine.guest.wait_until(lambda: slots(machine)["slots"]["B"]["state"] == "good")
    assert machine.guest.read("/etc/machine-id") == identity
    assert "ro" in machine.guest.sh("findmnt -no OPTIONS /boot").split(",")
    untouched(machine, folder)


def test_an_update_whose_agent_is_never_ready_falls_back_by_itself(machine: Machine, folder: Path) -> None:
    before = running(machine)
    bad = bundles.never_ready(machine.centre / "never-ready.raucb")
    machine.guest.run("recorder-station", "update", f"{CENTRE}/{bad.name}", within=1200)
    bad.unlink()
    machine.power_off()
    machine.hardware.credentials = SHORT_TRIAL
    machine.start()
    machine.guest.up()
    assert running(machine) != before
    machine.until_reset(within=1200)
    machine.guest.up().until_ready()
    assert running(machine) == before
    found = slots(machine)
    assert [slot["state"] for slot in found["slots"].values()].count("fell-back") == 1, found
    assert [i for i in machine.guest.until_ready()["health"] if i["key"] == "update-fell-back"]
    untouched(machine, folder)
