"""The ports of input devices become a udev rule, which root reads: nothing else gets into it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.image.ports_rules import text

PORT = "pci-0000:00:14.0-usb-0:4"
RULE = re.compile(
    r'ACTION!="remove", SUBSYSTEM=="usb", ENV\{DEVTYPE\}=="usb_device",'
    r' ENV\{ID_PATH\}=="([A-Za-z0-9:._@+-]+-usb-0:[0-9.]+)", ATTR\{speed\}=="1\.5\|12\|480",'
    r' ENV\{RECORDER_STATION_PORT\}="([A-Za-z0-9_-]{1,32})"'
)


def rules(ports: dict[str, str]) -> list[tuple[str, str]]:
    """(name, port) of each rule; every line that is no comment must be one."""
    lines = [line for line in text(ports).split("\n") if line and not line.startswith("#")]
    found = [RULE.fullmatch(line) for line in lines]
    assert all(found), lines
    return [(rule[2], rule[1]) for rule in found if rule]


def test_each_port_is_a_rule() -> None:
    named = {"scanner": PORT, "touchscreen": "platform-fd500000.pcie-pci-0000:01:00.0-usb-0:1.3"}
    assert rules(named) == list(named.items())
    assert rules({}) == []


@pytest.mark.parametrize(
    "written", [PORT, PORT + ":1.0", "pci-0000:00:14.0-usbv2-0:4", "pci-0000:00:14.0-usbv2-0:4:1.1"]
)
def test_a_port_may_be_written_as_udev_shows_it(written: str) -> None:
    assert rules({"scanner": written}) == [("scanner", PORT)]


@pytest.mark.parametrize(
    "port",
    [
        "",
        "4",
        "1-4",
        PORT + "\n",
        PORT + '", RUN+="/bin/sh',
        PORT + "*",
        "*-usb-0:4",
        "pci-[0]-usb-0:4",
        "pci-0000:00:14.0|x-usb-0:4",
        "$env{X}-usb-0:4",
        "%k-usb-0:4",
        "pci 0-usb-0:4",
        "pci\\-usb-0:4",
        "pci-0000:00:14.0-usbv3-0:4",
        "pci-0000:00:14.0-usb-0:4.",
        "pci-0000:00:14.0-usb-0:٤",
        "p" * 200 + "-usb-0:4",
        PORT + ".1" * 6,
    ],
)
def test_what_is_no_port_never_becomes_a_rule(port: str) -> None:
    with pytest.raises(ValueError, match="USB port"):
        text({"scanner": port})


@pytest.mark.parametrize("name", ["", "a b", 'a"', "a\n", "$a", "扫码枪", "x" * 33, "a/b", "a{b}"])
def test_what_is_no_name_never_becomes_a_rule(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        text({name: PORT})


@given(st.dictionaries(st.text(max_size=40), st.text(max_size=60) | st.just(PORT), max_size=3))
def test_nothing_but_rules_comes_out_whatever_goes_in(ports: dict[str, str]) -> None:
    try:
        found = rules(ports)
    except ValueError:
        return
    assert len(found) == len(ports)


@given(st.text(alphabet='pci-0:.4usb"\n$%*?[]{}|\\, RUN=+', max_size=60))
def test_a_port_made_of_a_rules_own_letters_breaks_out_of_nothing(port: str) -> None:
    try:
        assert len(rules({"scanner": port})) == 1
    except ValueError:
        return
