"""What is no recorder is shown on its slot until it is pulled, and disturbs nobody."""

import logging
from pathlib import Path

import pytest

from agent.dock.docking import Docking
from agent.dock.events import Bystander, Event, Left
from agent.dock.visitors import Visitors, bystander
from agent.model import Problem, Reporter, SlotState
from agent.words import LANGUAGES, sentence
from drivers.base import Session
from tests.dock_house import Settings, Slot, house, volume

S = SlotState
HUB = "pci-0000:00:03.0-usb-0:5"
KEYBOARD = {
    "DEVTYPE": "usb_device",
    "ID_PATH": "pci-0000:00:03.0-usb-0:2",
    "ID_USB_VENDOR_ID": "0627",
    "ID_USB_MODEL_ID": "0001",
    "ID_USB_MODEL_ENC": r"QEMU\x20USB\x20Keyboard",
    "RECORDER_STATION_GUARD": "refused",
    "RECORDER_STATION_REFUSED": "input",
}
RECORDER = KEYBOARD | {"RECORDER_STATION_GUARD": "allowed", "ID_USB_MODEL_ENC": "DSJ"}


def collect(session: Session, docking: Docking, reporter: Reporter) -> bool:
    return True


def refused(port: str = "p", kind: str = "input", node: str = "/sys/x") -> Bystander:
    return Bystander(node, port, Problem("refused-device", {"kind": kind, "product": "X"}), refused=True)


def of(properties: dict[str, str], root: Path) -> Bystander:
    usb = root / "devices/pci0000:00/0000:00:03.0/usb1/1-2"
    usb.mkdir(parents=True)
    (usb.parent / "speed").write_text("480\n")
    found = bystander(properties, str(usb), root)
    assert found is not None
    return found


def test_a_refused_device_is_shown_on_its_slot_until_it_is_pulled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with house(tmp_path, collect, settings=Settings(slots={"A1": Slot("p")})) as h:
        with caplog.at_level(logging.WARNING):
            h.hand.meet(refused())
            shown = h.until("A1", S.FAILED, problem="refused-device")
        assert shown.problems[0].params["kind"] == "input"
        assert "A1" in caplog.text and "refused-device" in caplog.text
        h.hand.pull(refused())
        assert h.until("A1", S.EMPTY).problems == ()


def test_a_refused_device_behind_the_hub_of_other_slots_does_not_disturb_them(tmp_path: Path) -> None:
    with house(tmp_path, collect) as h:
        h.hand.plug(volume("/dev/sda", f"{HUB}.1"))
        h.until(f"{HUB}.1", S.COLLECTED)
        h.hand.meet(refused(f"{HUB}.2"))
        h.until(f"{HUB}.2", S.FAILED, problem="refused-device")
        assert h.until(f"{HUB}.1", S.COLLECTED).problems == ()


def test_a_recorder_that_has_the_slot_is_shown_and_not_what_is_refused_there(tmp_path: Path) -> None:
    """Events of two devices at one port may be late, never the two devices."""
    with house(tmp_path, collect) as h:
        h.hand.meet(refused("p"))
        h.until("p", S.FAILED)
        h.hand.plug(volume("/dev/sda", "p"))
        h.until("p", S.COLLECTED)
        h.hand.pull(volume("/dev/sda", "p"))
        h.until("p", S.FAILED, problem="refused-device")
        h.hand.pull(refused("p"))
        h.until("p", S.EMPTY)


def test_a_recorder_that_is_pulled_early_says_so_although_something_was_refused_before(
    tmp_path: Path,
) -> None:
    with house(tmp_path, lambda session, docking, reporter: False) as h:
        h.hand.meet(refused("p"))
        h.hand.pull(refused("p"))
        h.hand.plug(volume("/dev/sda", "p"))
        h.until("p", S.INCOMPLETE)


def test_what_a_refused_device_is_and_calls_itself_is_told(tmp_path: Path) -> None:
    found = of(KEYBOARD, tmp_path)
    assert found.refused and found.port == "pci-0000:00:03.0-usb-0:2"
    assert found.problem.params == {
        "kind": "input",
        "product": "QEMU USB Keyboard",
        "ids": "0627:0001",
        "port": "pci-0000:00:03.0-usb-0:2",
    }


def test_an_allowed_recorder_is_charging_only_should_it_bring_no_disk(tmp_path: Path) -> None:
    found = of(RECORDER, tmp_path)
    assert not found.refused
    assert (found.problem.key, found.problem.params["product"]) == ("charging-only", "DSJ")


@pytest.mark.parametrize("name", [r"\xe2\x80\xaegpj", r"a\x0ab\x1b[2J", r"\xff\xfe", "x" * 400, ""])
def test_what_a_device_calls_itself_never_breaks_a_screen(name: str, tmp_path: Path) -> None:
    product = of(KEYBOARD | {"ID_USB_MODEL_ENC": name}, tmp_path).problem.params["product"]
    assert product.isprintable() and 0 < len(product) <= 40


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", ["input", "network", "mixed", "port", "unknown"])
def test_each_kind_of_refusal_has_words_of_its_own(kind: str, language: str) -> None:
    said = sentence("refused-device", {"kind": kind, "product": "X"}, language)
    assert "X" in said
    assert said != sentence("refused-device", {"kind": "new", "product": "X"}, language)


def test_a_device_without_a_verdict_is_none_of_ours() -> None:
    assert bystander({"ID_PATH": "pci-0000:00:03.0-usb-0:2"}, "/sys/x") is None


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Port:
    """A USB device in a sysfs of the test's, and what is told of it."""

    def __init__(self, folder: Path) -> None:
        self.usb = folder / "1-2"
        self.usb.mkdir()
        (self.usb / "authorized").write_text("1\n")
        self.clock = Clock()
        self.told: list[Event] = []
        self.visitors = Visitors(self.told.append, self.clock)
        self.recorder = Bystander(str(self.usb), "p", Problem("charging-only", {"product": "DSJ"}))

    def seen(self, bystander: Bystander | None) -> bool:
        return self.visitors.seen(str(self.usb), bystander)

    def after(self, seconds: float) -> list[Event]:
        self.clock.now += seconds
        self.visitors.look()
        return self.told

    def shows_its_disk(self) -> None:
        (self.usb / "1-2:1.0/host0/target0:0:0/0:0:0:0/block/sda").mkdir(parents=True)


@pytest.fixture
def port(tmp_path: Path) -> Port:
    return Port(tmp_path)


def test_a_refusal_is_told_at_once_and_once(port: Port) -> None:
    keyboard = refused(node=str(port.usb))
    assert [port.seen(keyboard), port.seen(keyboard), port.seen(None), port.seen(None)] == [
        True,
        False,
        True,
        False,
    ]
    assert port.after(100) == [keyboard, Left(str(port.usb))]


def test_a_recorder_that_brings_no_disk_is_charging_only(port: Port) -> None:
    port.seen(port.recorder)
    assert port.after(5) == []
    assert port.after(port.visitors.wait(60)) == [port.recorder]
    assert port.visitors.wait(60) == 60


def test_a_recorder_that_becomes_a_disk_late_is_no_longer_charging_only(port: Port) -> None:
    port.seen(port.recorder)
    port.after(60)
    port.shows_its_disk()
    assert port.after(1) == [port.recorder, Left(str(port.usb))]


def test_a_recorder_with_a_disk_is_never_charging_only_not_even_when_its_port_was_closed(port: Port) -> None:
    port.seen(port.recorder)
    port.shows_its_disk()
    port.after(60)
    (port.usb / "1-2:1.0/host0/target0:0:0/0:0:0:0/block/sda").rmdir()
    (port.usb / "authorized").write_text("0\n")
    port.seen(port.recorder)
    assert port.after(60) == []


def test_a_port_that_the_station_closed_is_not_called_charging_after_a_restart(port: Port) -> None:
    (port.usb / "authorized").write_text("0\n")
    port.seen(port.recorder)
    assert port.after(60) == []


def test_a_recorder_pulled_before_its_time_is_not_told_of(port: Port) -> None:
    port.seen(port.recorder)
    port.seen(None)
    assert port.after(60) == []
