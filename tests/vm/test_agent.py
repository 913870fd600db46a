"""The agent as a service of the image: who it is, what it does without, who looks after it."""

from pathlib import Path

import pytest

from tests.vm.arrival import differs, until_all_confirmed
from tests.vm.machine import SLOTS, Machine
from tests.vm.recorders import Card, held, recorder

UNIT = "recorder-station.service"


def _property(machine: Machine, name: str) -> str:
    return machine.guest.sh(f"systemctl show {UNIT} --property={name} --value")


def test_the_agent_is_nobody(rack: Machine) -> None:
    """A user of its own, without capabilities now or ever, and without new privileges."""
    pid = _property(rack, "MainPID")
    told = dict(line.split(":", 1) for line in rack.guest.read(f"/proc/{pid}/status").decode().splitlines())
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(told[name], 16) == 0, f"{name}:{told[name]}"
    assert told["NoNewPrivs"].split() == ["1"]
    user = rack.guest.sh("id --user recorder-station")
    assert told["Uid"].split() == [user] * 4 and user != "0"


def test_root_is_read_only_and_nobody_can_log_in(rack: Machine) -> None:
    rack.guest.run("mount", "-o", "remount,rw", "/", check=False)  # squashfs takes it, and stays as it is
    options = rack.guest.sh("findmnt --noheadings --output FSTYPE,OPTIONS /").split()
    assert options[0] == "squashfs" and "ro" in options[1].split(",")
    assert rack.guest.run("touch", "/usr/bin/there", check=False).rc != 0
    assert "ro" in rack.guest.sh("findmnt --noheadings --output OPTIONS /boot").split(",")
    passwords = [line.split(":")[:2] for line in rack.guest.read("/etc/shadow").decode().splitlines()]
    assert [who for who, password in passwords if password[:1] not in ("!", "*")] == []
    assert (
        rack.guest.sh("systemctl is-active ssh.service ssh.socket", check=False).split() == ["inactive"] * 2
    )


def test_it_collects_without_a_network_and_with_a_wrong_clock(rack: Machine, shelf: Path) -> None:
    """The shared station has neither: its clock said 1980 when it was switched on."""
    assert rack.guest.sh("ls /sys/class/net") == "lo"
    status = rack.guest.until_ready()
    assert not status["clock_trusted"]
    assert "clock-untrusted" in {issue["key"] for issue in status["health"]}
    image = recorder(shelf / "1800001.img", Card("1800001", "fat32"), clips=3)
    rack.plug(image, SLOTS["01"])
    rack.guest.until_slot("01", "collected")
    until_all_confirmed(rack, ["1800001"])
    assert differs(rack.centre, "1800001", held(image)) == ""


def test_a_hung_agent_is_restarted_by_its_watchdog(rack: Machine, shelf: Path) -> None:
    """With a recorder in its slot, which the new agent finds and collects."""
    restarts, pid = int(_property(rack, "NRestarts")), _property(rack, "MainPID")
    rack.guest.run("kill", "-STOP", pid)
    image = recorder(shelf / "1800002.img", Card("1800002"), clips=3)
    rack.plug(image, SLOTS["02"])
    rack.guest.wait_until(lambda: int(_property(rack, "NRestarts")) > restarts)
    rack.guest.until_ready()
    assert _property(rack, "MainPID") != pid
    rack.guest.until_slot("02", "collected")
    until_all_confirmed(rack, ["1800002"])
    assert differs(rack.centre, "1800002", held(image)) == ""


def test_an_agent_that_is_killed_leaves_no_mount_and_goes_on(rack: Machine, shelf: Path) -> None:
    image = recorder(shelf / "1800003.img", Card("1800003"), clips=3)
    rack.plug(image, SLOTS["04"])
    rack.guest.until_slot("04", "collected")
    pid = _property(rack, "MainPID")
    rack.guest.run("kill", "-KILL", pid)
    rack.guest.wait_until(lambda: _property(rack, "MainPID") not in (pid, "0"))
    rack.guest.until_ready()
    rack.guest.until_slot("04", "collected")
    mounts = rack.guest.sh("findmnt --noheadings --raw --output TARGET,SOURCE | grep /dev/sd", check=False)
    assert len(mounts.splitlines()) <= 1, mounts
    until_all_confirmed(rack, ["1800003"])
    assert differs(rack.centre, "1800003", held(image)) == ""


def test_the_hardware_watchdog_is_fed(rack: Machine) -> None:
    watched = rack.guest.sh("systemctl show --property=RuntimeWatchdogUSec --value")
    assert watched not in ("0", "infinity", ""), watched
    states = rack.guest.sh("cat /sys/class/watchdog/watchdog*/state").split()
    assert "active" in states, states


@pytest.mark.vm_full
def test_a_machine_that_hangs_is_started_anew(rack: Machine) -> None:
    """By the hardware watchdog: this kernel does not restart by itself when it is lost."""
    rack.guest.sh("echo 0 >/proc/sys/kernel/panic")
    rack.guest.sh("(sleep 1; echo c >/proc/sysrq-trigger) >/dev/null 2>&1 &")
    rack.until_reset()
    rack.guest.up()
    rack.guest.until_ready()
