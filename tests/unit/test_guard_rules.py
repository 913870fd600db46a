"""The patterns that the USB guard's rules match a device's interfaces with, as they stand in the file.

They are held against the policy as `tests/guard.py` says it. That udev itself comes to the same verdicts is
shown by `tests/system/test_guard_engine.py`, and with real devices by `tests/vm/test_guard.py`."""

import re
from fnmatch import fnmatchcase

from hypothesis import given
from hypothesis import strategies as st

from tests.guard import INTERFACE, LISTS, RULES, shown, verdict

TEXT = RULES.read_text()
LINES = [line for line in TEXT.splitlines() if line and not line.startswith("#")]
CONDITION = re.compile(r'ENV\{ID_USB_INTERFACES\}(==|!=)"([^"]*)"')


def matches(line: str, interfaces: str) -> bool:
    """All conditions of the line that speak of interfaces."""
    found = CONDITION.findall(line)
    assert found, line
    return all(
        any(fnmatchcase(interfaces, each) for each in patterns.split("|")) is (sign == "==")
        for sign, patterns in found
    )


def line_of(assigned: str) -> str:
    """The one line that looks at interfaces and assigns this."""
    (found,) = [line for line in LINES if assigned in line and CONDITION.search(line)]
    return found


def kind(name: str) -> str:
    return line_of(f'ENV{{RECORDER_STATION_KIND}}="{name}"')


def refusals(reason: str) -> list[str]:
    return [
        line
        for line in LINES
        if f'ENV{{RECORDER_STATION_REFUSED}}="{reason}"' in line and CONDITION.search(line)
    ]


@given(LISTS)
def test_a_list_that_nobody_should_have_is_refused_before_anything_else(interfaces: list[str]) -> None:
    refused = any(matches(line, shown(interfaces)) for line in refusals("unknown"))
    assert refused is not (1 <= len(interfaces) <= 8)


@given(st.lists(INTERFACE, min_size=1, max_size=8, unique=True))
def test_a_list_that_udev_could_not_read_to_its_end_is_refused(interfaces: list[str]) -> None:
    assert any(matches(line, shown(interfaces)[:-1]) for line in refusals("unknown"))


@given(LISTS.filter(lambda found: 0 < len(found) <= 8))
def test_each_kind_is_what_the_policy_calls_it(interfaces: list[str]) -> None:
    text, classes = shown(interfaces), {each[:2] for each in interfaces}
    assert matches(kind("hub"), text) is (classes == {"09"})
    assert matches(kind("input"), text) is (classes == {"03"})
    assert matches(kind("storage"), text) is (verdict(interfaces) == "storage")
    assert matches(kind("mtp"), text) is (verdict(interfaces) == "mtp")
    assert matches(kind("recorder"), text) is (verdict(interfaces, "4255:0001") == "recorder")


@given(LISTS.filter(lambda found: 0 < len(found) <= 8))
def test_input_and_network_are_found_wherever_they_stand(interfaces: list[str]) -> None:
    text = shown(interfaces)
    has_input = any(each.startswith("03") for each in interfaces)
    has_network = any(each.startswith(("02", "0a", "e0", "ef0401")) for each in interfaces)
    assert any(matches(line, text) for line in refusals("input")) is has_input
    assert any(matches(line, text) for line in refusals("network")) is has_network
    assert all(matches(line, text) for line in refusals("mixed")) is any(
        each.startswith("08") for each in interfaces
    )


def test_recorders_by_number_stand_in_one_place() -> None:
    assert re.findall(r'ATTR\{idVendor\}=="(\w+)", ATTR\{idProduct\}=="(\w+)"', TEXT) == [("4255", "0001")]


def test_every_label_that_is_gone_to_is_there_and_lies_further_down() -> None:
    """udev goes forward only; a label that is missing would let the rest of the file pass."""
    for number, line in enumerate(LINES):
        for label in re.findall(r'GOTO="(\w+)"', line):
            assert f'LABEL="{label}"' in LINES[number:]


def test_the_guard_opens_a_device_in_one_line_only() -> None:
    opens = [line for line in LINES if 'ATTR{authorized}="1"' in line]
    assert len(opens) == 2  # of devices, of interfaces
    assert LINES.index(opens[0]) > LINES.index('LABEL="guard_allowed"')
    assert LINES.index(opens[1]) > LINES.index('LABEL="guard_driver_fits"')
