"""udev's own rule engine over the guard's rules (`udevadm test`), without a USB device.

/dev/null stands for one: where the rules read an attribute, a copy of them reads what the test says,
and where they write one, it writes a property. Every condition, jump and pattern is that of the rules.
What the real kernel does with them is shown in `tests/vm/test_guard.py`."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.guard import INTERFACE, LISTED, LISTS, RULES, fits, shown, verdict
from tests.here import require

require("root", "udevadm")

TAG = "recorder-station"
OURS = Path(f"/run/udev/rules.d/59-recorder-station-test-{os.getpid()}.rules")
#: (what stands in the rules, what the copy says instead)
STAND_INS = (
    (r'SUBSYSTEM!="usb"', r'KERNEL!="null"'),
    (r'TEST!="\w+", GOTO="guard_end"', ""),
    (r"ENV\{(DEVTYPE|DRIVER)\}", r"ENV{TEST_\1}"),
    (r'IMPORT\{parent\}="RECORDER_STATION_KIND"', ""),
    (r'IMPORT\{parent\}="RECORDER_STATION_BOARD"', r'ENV{RECORDER_STATION_BOARD}="$env{TEST_BOARD}"'),
    (r'IMPORT\{db\}="(RECORDER_STATION_\w+)"', r'ENV{\1}="$env{BEFORE_\1}"'),
    (r'PROGRAM=="[^"]*"', r'ENV{TEST_SYSTEM}=="1"'),
    (r"ATTR\{\.\./authorized\}", "ENV{WROTE_CLOSED}"),
    (r"ATTR\{\.\./uevent\}", "ENV{WROTE_LIED}"),
    (r"ATTR\{\[subsystem/usb\]drivers_probe\}", "ENV{WROTE_PROBE}"),
    (r'ATTR\{authorized\}="', 'ENV{WROTE_AUTHORIZED}="'),
    (r"ATTR\{(\w+)\}(==|!=)", r"ENV{\1}\2"),
    (r"\$attr\{(\w+)\}", r"$env{\1}"),
)


def noted() -> set[Path]:
    """What udev's database says of /dev/null."""
    return {path for path in Path("/run/udev").glob("*/**/c1:3") if path.parent.name != "watch"}


@pytest.fixture(scope="module", autouse=True)
def copied() -> Iterator[None]:
    """`udevadm test` of older systemd writes the database."""
    OURS.parent.mkdir(parents=True, exist_ok=True)
    before = noted()
    yield
    OURS.unlink(missing_ok=True)
    for path in noted() - before:
        path.unlink()


def copy(facts: dict[str, str]) -> str:
    text = RULES.read_text()
    for pattern, instead in STAND_INS:
        text, count = re.subn(pattern, instead, text)
        assert count, f"{pattern} is not in the rules any more"
    given_facts = "".join(f'KERNEL=="null", ENV{{{name}}}="{value}"\n' for name, value in facts.items())
    return given_facts + re.sub(r"^\s*,? *\n", "\n", text, flags=re.MULTILINE)


def judged(**facts: str) -> dict[str, str]:
    """Every property that udev ends with."""
    OURS.write_text(copy(facts))
    command = ["udevadm", "test", "--action=add", "/sys/devices/virtual/mem/null"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stderr
    found = re.findall(r"^ *([A-Z_]+)=(.*)$", ran.stdout, re.MULTILINE)
    return {name: value for name, value in found if value}


def device(interfaces: list[str] | str, ids: str = "1234:5678", **more: str) -> dict[str, str]:
    vendor, product = ids.split(":")
    text = interfaces if isinstance(interfaces, str) else shown(interfaces)
    facts = {"ID_USB_INTERFACES": text, "idVendor": vendor, "idProduct": product, "authorized": "0"}
    return judged(**{"TEST_DEVTYPE": "usb_device", "removable": "unknown", **facts, **more})


def said(found: dict[str, str]) -> str:
    """As tests.guard.verdict says it; and that the rest of the rules' words go with it."""
    refused = found.get("RECORDER_STATION_REFUSED", "")
    assert found["RECORDER_STATION_GUARD"] == ("refused" if refused else "allowed")
    assert found.get("WROTE_AUTHORIZED") == (None if refused else "1")
    assert ("RECORDER_STATION_KIND" in found) is not bool(refused)
    assert not refused or TAG in found["CURRENT_TAGS"].split(":")
    return refused.upper() or found["RECORDER_STATION_KIND"]


@settings(max_examples=60, deadline=None)
@given(LISTS, st.sampled_from(["1234:5678", LISTED]), st.booleans(), st.booleans())
def test_udev_comes_to_the_verdict_of_the_policy(
    interfaces: list[str], ids: str, port: bool, board: bool
) -> None:
    more = {"RECORDER_STATION_PORT": "scanner"} if port else {}
    if board:
        more |= {"removable": "fixed", "TEST_BOARD": "1"}
    found = device(interfaces, ids, **more)
    if board and "RECORDER_STATION_REFUSED" in found:
        assert TAG not in found.get("CURRENT_TAGS", "")  # nobody could pull it out
        assert found["RECORDER_STATION_REFUSED"].upper() == verdict(
            interfaces, ids, more.get("RECORDER_STATION_PORT", ""), board
        )
    else:
        assert said(found) == verdict(interfaces, ids, more.get("RECORDER_STATION_PORT", ""), board)


@pytest.mark.parametrize(
    ("interfaces", "expected"),
    [
        (["080650"], "storage"),
        (["080650", "080662"], "storage"),
        (["060101", "ff4201"], "mtp"),
        (["ff4201"], "UNKNOWN"),
        (["030101"], "INPUT"),
        (["080650", "030101"], "MIXED"),
        (["080650", "020600", "0a0000"], "MIXED"),
        (["020600", "0a0000"], "NETWORK"),
        (["090000"], "hub"),
        (["090000", "030000"], "INPUT"),
        (["ff0000"], "UNKNOWN"),
        ([f"08{n:04x}" for n in range(72)], "UNKNOWN"),
        ([], "UNKNOWN"),
        (":080650", "UNKNOWN"),
    ],
)
def test_what_is_plugged_in_most(interfaces: list[str] | str, expected: str) -> None:
    assert said(device(interfaces)) == expected


def test_a_hub_from_outside_that_calls_its_ports_soldered_opens_nothing() -> None:
    found = device(["020600", "0a0000"], removable="fixed", TEST_BOARD="")
    assert found["RECORDER_STATION_REFUSED"] == "network"


def test_a_port_that_was_closed_on_purpose_is_not_opened_by_a_second_event() -> None:
    found = device(["080650"], BEFORE_RECORDER_STATION_GUARD="allowed")
    assert found["RECORDER_STATION_GUARD"] == "allowed"
    assert "WROTE_AUTHORIZED" not in found


def test_what_was_refused_is_opened_once_its_port_has_a_name() -> None:
    found = device(["030101"], RECORDER_STATION_PORT="scanner", BEFORE_RECORDER_STATION_GUARD="refused")
    assert said(found) == "input"


def test_what_was_there_before_udev_is_closed() -> None:
    found = device(["080650", "030101"], authorized="1")
    assert found["RECORDER_STATION_REFUSED"] == "mixed"
    assert found["WROTE_AUTHORIZED"] == "0"


def test_the_disk_that_the_machine_runs_from_stays_whatever_it_is() -> None:
    found = device(["080650", "030101"], authorized="1", TEST_SYSTEM="1")
    assert found["RECORDER_STATION_KIND"] == "system"
    assert "WROTE_AUTHORIZED" not in found


def test_a_device_that_lied_stays_closed_until_it_is_pulled() -> None:
    assert said(device(["080650"], SYNTH_ARG_GUARDLIED="1")) == "UNKNOWN"
    assert said(device(["080650"], BEFORE_RECORDER_STATION_LIED="1")) == "UNKNOWN"


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(["hub", "storage", "mtp", "recorder", "input", "board"]),
    INTERFACE,
    st.sampled_from(["", "hub", "usb-storage", "uas", "ums-realtek", "usbfs", "usbhid", "asix", "cdc_ether"]),
)
def test_an_interface_is_opened_only_for_what_its_device_was_opened_for(
    kind: str, interface: str, driver: str
) -> None:
    parts = {"bInterfaceClass": interface[:2], "bInterfaceSubClass": interface[2:4]}
    parts |= {"bInterfaceProtocol": interface[4:], "TEST_DRIVER": driver, "authorized": "0"}
    found = judged(TEST_DEVTYPE="usb_interface", RECORDER_STATION_KIND=kind, **parts)
    if fits(kind, interface, driver):
        assert "WROTE_CLOSED" not in found
        assert found["WROTE_AUTHORIZED"] == "1"
        assert ("WROTE_PROBE" in found) is (kind not in ("mtp", "recorder") or interface.startswith("08"))
    else:
        assert found["WROTE_CLOSED"] == "0"
        assert "GUARDLIED=1" in found["WROTE_LIED"]
        assert "WROTE_AUTHORIZED" not in found


def test_an_interface_without_a_verdict_above_it_stays_closed() -> None:
    parts = {"bInterfaceClass": "08", "bInterfaceSubClass": "06", "bInterfaceProtocol": "50"}
    found = judged(TEST_DEVTYPE="usb_interface", authorized="0", **parts)
    assert not any(name.startswith("WROTE_") for name in found)
