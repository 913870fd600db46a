"""Each arrival and each departure is told once, however often udev tells it."""

import sys

import pytest

from agent.dock.events import Arrived, Event, Left
from agent.dock.hotplug import Known, UdevSource
from tests.dock_house import disk, volume


def told(*seen: tuple[object, str]) -> list[Event]:
    events: list[Event] = []
    known = Known(events.append)
    for device, sequence in seen:
        known.seen("/dev/sda", device, sequence)  # type: ignore[arg-type]
    return events


CARD = volume("/dev/sda", fs_uuid="1")


def test_an_event_that_comes_twice_is_told_once() -> None:
    assert told((CARD, "1"), (CARD, "1"), (None, ""), (None, "")) == [Arrived(CARD), Left("/dev/sda")]


def test_another_disk_at_the_same_node_is_another_arrival() -> None:
    assert told((CARD, "1"), (CARD, "2")) == [Arrived(CARD), Left("/dev/sda"), Arrived(CARD)]


def test_a_changed_card_is_another_arrival_even_without_sequence_numbers() -> None:
    other = volume("/dev/sda", fs_uuid="2")
    assert told((CARD, ""), (other, "")) == [Arrived(CARD), Left("/dev/sda"), Arrived(other)]


def test_a_disk_that_turns_out_to_have_a_file_system_did_not_leave() -> None:
    assert told((disk("/dev/sda"), "1"), (CARD, "1")) == [Arrived(disk("/dev/sda")), Arrived(CARD)]


def test_a_serial_number_that_is_read_late_is_no_new_recorder() -> None:
    assert told((CARD, "1"), (volume("/dev/sda", fs_uuid="1", serial="7"), "1")) == [Arrived(CARD)]


def test_a_machine_without_libudev_has_a_health_issue_and_no_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyudev", None)
    events: list[Event] = []
    source = UdevSource()
    source.start(events.append)
    try:
        assert not source.alive()
        assert "pyudev" in source.problem
        assert events == []
    finally:
        source.stop()
