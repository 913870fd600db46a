"""The screen at the rack: what a station with a graphics card really shows, pixel by pixel.

A browser takes an emulated processor as much as the whole start of the station, so what starts another one is
left to the full run.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.vm.conftest import running
from tests.vm.machine import SLOTS, Hardware, Machine, Port
from tests.vm.recorders import Card, recorder
from tests.vm.screendump import Screen, seen
from tests.vm.station import CONFIG, Order

PATIENCE = 900.0  # seconds
UNIT = "recorder-kiosk.service"
MIB = 1 << 20

# Of agent/web/static/kiosk.css; the sentence without an agent has the page's own ground.
GROUND, FREE, GREEN, OLD, LOST = "e6eaf0", "ffffff", "14692d", "f4f5f7", "a3161e"
INPUT = {"touch": Port(1, 14), "keys": Port(1, 15)}


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A station with a card that is drawn to, and a recorder's slots named."""
    ports = {name: port.id_path for name, port in INPUT.items()}
    config = {**CONFIG, "dock": {**CONFIG["dock"], "input_ports": ports}}
    order = Order(config=config, hardware=Hardware(more=("-device", "VGA")))
    with running(tmp_path_factory.mktemp("vm") / "m", order) as machine:
        machine.until_ready()
        until(machine, is_rack)
        yield machine


def is_rack(screen: Screen) -> bool:
    """Free tiles on the page's ground, and no sign of a lost connection."""
    return screen.share(FREE) > 0.3 and screen.share(GROUND) > 0.05 and screen.share(LOST) == 0


def is_old(screen: Screen) -> bool:
    return screen.share(OLD) > 0.3 and screen.share(LOST) > 0.01 and screen.share(FREE) < 0.05


def is_notice(screen: Screen) -> bool:
    """A sentence and nothing else."""
    return screen.share(GROUND) > 0.8 and 0 < screen.share("16202c") < 0.1


def until(machine: Machine, condition: Callable[[Screen], bool], within: float = PATIENCE) -> Screen:
    end = time.monotonic() + within
    while not condition(screen := seen(machine)):
        assert time.monotonic() < end, f"the screen shows {screen.colours()}"
        time.sleep(0.5)
    return screen


def said(machine: Machine, name: str) -> str:
    return machine.guest.sh(f"systemctl show --property={name} --value {UNIT}")


def test_the_screen_shows_the_rack_and_what_happens_there(
    shown: Machine, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    before = until(shown, is_rack)
    assert before.share(GREEN) == 0
    shown.plug(recorder(tmp_path / "2600001.img", Card("2600001"), clips=2), SLOTS["05"])
    shown.guest.until_slot("05", "collected")
    began = time.monotonic()
    until(shown, lambda screen: 0.01 < screen.share(GREEN) < 0.2)
    figure(f"kiosk: collected on the screen {time.monotonic() - began:.1f} s after the agent says so")
    shown.pull_all()
    until(shown, lambda screen: is_rack(screen) and screen.share(GREEN) == 0)


def test_the_browser_takes_no_more_than_is_allowed_and_leaves_nothing_on_a_disk(
    shown: Machine, figure: Callable[[str], None]
) -> None:
    until(shown, is_rack)
    group = f"/sys/fs/cgroup{said(shown, 'ControlGroup')}"
    of_each = f"cat $(sed 's|.*|/proc/&/smaps_rollup|' {group}/cgroup.procs)"
    pss = int(shown.guest.sh(of_each + " | awk '/^Pss:/ { s += $2 } END { print s }'")) // 1024
    now, peak = (int(shown.guest.sh(f"cat {group}/memory.{name}")) // MIB for name in ("current", "peak"))
    processes = len(shown.guest.sh(f"cat {group}/cgroup.procs").split())
    figure(f"kiosk: {processes} processes, PSS {pss} MiB; the unit's memory {now} MiB, at most {peak} MiB")
    assert int(shown.guest.sh(f"awk '/^oom_kill / {{ print $2 }}' {group}/memory.events")) == 0
    assert shown.guest.sh("findmnt --noheadings --output FSTYPE /tmp") == "tmpfs"
    written = "find / -user recorder-kiosk -type f -not -fstype tmpfs -not -fstype proc -not -fstype cgroup2"
    assert shown.guest.sh(f"{written} -not -fstype sysfs", check=False) == ""


def test_neither_store_nor_catalog_nor_socket_is_in_the_browsers_reach(shown: Machine) -> None:
    pid = said(shown, "MainPID")
    inside = (
        f"nsenter --target {pid} --mount setpriv --reuid recorder-kiosk --regid recorder-kiosk --init-groups"
    )
    for place in (
        "/var/lib/recorder-station",
        "/run/recorder-station",
        "/run/recorder-station-mounts",
        "/run/dbus",
    ):
        assert shown.guest.sh(f"ls -d {place}")
        assert shown.guest.run("/bin/sh", "-c", f"{inside} ls {place}", check=False).rc != 0, place
    for place in ("/data", "/boot"):
        assert shown.guest.sh(f"{inside} ls -A {place} 2>/dev/null", check=False) == ""
    assert shown.guest.sh(f"{inside} ls /run").split() == ["recorder-kiosk", "systemd", "udev"]


@pytest.mark.vm_full
def test_a_browser_that_is_killed_comes_back(shown: Machine, figure: Callable[[str], None]) -> None:
    until(shown, is_rack)
    restarts = int(said(shown, "NRestarts"))
    shown.guest.sh("pkill -KILL -u recorder-kiosk chromium")
    began = time.monotonic()
    shown.guest.wait_until(lambda: int(said(shown, "NRestarts")) > restarts)
    until(shown, is_rack)
    figure(f"kiosk: the page is back {time.monotonic() - began:.0f} s after the browser was killed")


@pytest.mark.vm_full
def test_an_agent_that_is_gone_is_told_and_the_page_comes_back_by_itself(shown: Machine) -> None:
    until(shown, is_rack)
    pid, restarts = said(shown, "MainPID"), said(shown, "NRestarts")
    shown.guest.sh("systemctl stop recorder-station.service")
    until(shown, is_old)
    assert (said(shown, "MainPID"), said(shown, "NRestarts")) == (pid, restarts)
    # A browser that starts now finds no page, and says that.
    shown.guest.sh(f"systemctl restart {UNIT}")
    until(shown, is_notice)
    shown.guest.sh("systemctl start --no-block recorder-station.service")
    shown.guest.until_ready()
    until(shown, is_rack)


@pytest.mark.vm_full
def test_the_page_is_touched_and_no_key_reaches_the_browser(shown: Machine) -> None:
    before = until(shown, is_rack)
    shown.plug_device("usb-kbd", INPUT["keys"])
    shown.plug_device("usb-tablet", INPUT["touch"])
    shown.guest.wait_until(lambda: len(shown.guest.sh("ls -d /sys/bus/usb/drivers/usbhid/*:*").split()) == 2)
    for keys in (["ctrl", "t"], ["ctrl", "w"], ["ctrl", "shift", "i"], ["f12"], ["alt", "f4"], ["ctrl", "n"]):
        shown.qmp("send-key", keys=[{"type": "qcode", "data": key} for key in keys])
    time.sleep(5)
    assert words(seen(shown)) == words(before)
    # The button at the top right, for the other language.
    shown.qmp("input-send-event", events=[absolute("x", 0.97), absolute("y", 0.03)])
    for down in (True, False):
        shown.qmp("input-send-event", events=[{"type": "btn", "data": {"button": "left", "down": down}}])
    until(shown, lambda screen: is_rack(screen) and words(screen) != words(before))
    shown.pull_all()


def words(screen: Screen) -> bytes:
    """The left of the page's head: what is free, in one language or the other."""
    return screen.strip(height=60, share=0.6)


def absolute(axis: str, share: float) -> dict[str, Any]:
    return {"type": "abs", "data": {"axis": axis, "value": int(share * 0x7FFF)}}


def test_without_a_card_no_kiosk_is_started_and_nothing_is_failed(rack: Machine) -> None:
    assert rack.guest.sh("ls /dev/dri", check=False) == ""
    assert said(rack, "ActiveState") == "inactive"
    assert said(rack, "NRestarts") == "0"
    rack.guest.sh(f"systemctl start {UNIT}")  # its condition does not hold, which is no failure
    assert said(rack, "ActiveState") == "inactive"
    assert rack.guest.sh("systemctl --failed --no-legend --plain") == ""
