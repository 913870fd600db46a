"""A full rack at shift end, at real USB ports: who sits where is told, all arrives, nothing is written."""

import time
from collections.abc import Callable
from pathlib import Path

from agent.status.shape import StatusShape
from tests.vm.arrival import differs, until_all_confirmed
from tests.vm.machine import SLOTS, Machine, Port
from tests.vm.recorders import Card, FileSystem, Table, digest, held, recorder

_KINDS: tuple[tuple[FileSystem, Table], ...] = (
    ("exfat", "mbr"),
    ("fat32", "mbr"),
    ("exfat", "none"),
    ("fat32", "none"),
    ("exfat", "gpt"),
    ("fat32", "gpt"),
)
_FACTORY_SERIAL = "1234567"  # some makers write the same into every recorder
_OFFICE_PORTS = (Port(0, 9), Port(1, 9))  # that the configuration does not name
_SECONDS = 5.0


def test_a_full_rack_is_collected_and_every_card_stays_as_it_was(
    rack: Machine, shelf: Path, figure: Callable[[str], None]
) -> None:
    cards = {slot: Card(f"1600{int(slot):03}", *_KINDS[n % len(_KINDS)]) for n, slot in enumerate(SLOTS)}
    ports = dict(SLOTS)
    for port, fs in zip(_OFFICE_PORTS, ("ext4", "ntfs"), strict=True):
        cards[port.id_path] = Card(f"1600{20 + port.controller:03}", fs)  # type: ignore[arg-type]
        ports[port.id_path] = port
    images = {
        slot: recorder(shelf / f"{card.number}.img", card, clips=6, size=1 << 20)
        for slot, card in cards.items()
    }
    before = {slot: digest(image) for slot, image in images.items()}

    began = time.monotonic()
    plugged: dict[str, float] = {}
    for slot, image in images.items():
        rack.plug(image, ports[slot], serial=_FACTORY_SERIAL if slot in ("01", "02") else f"DSJ{slot[-3:]}")
        plugged[slot] = time.monotonic()
    docked_in = time.monotonic() - began
    identified: dict[str, float] = {}

    def all_collected(status: StatusShape) -> bool:
        shown = {slot["slot"]: slot for slot in status["slots"]}
        for slot, card in cards.items():
            if slot in shown and shown[slot]["recorder"] == card.number:
                identified.setdefault(slot, time.monotonic())
        return all(slot in shown and shown[slot]["state"] == "collected" for slot in cards)

    rack.guest.wait_for(all_collected)
    collected_in = time.monotonic() - began
    assert identified.keys() == cards.keys(), "a slot shows another recorder than the one in it"
    until_all_confirmed(rack, [card.number for card in cards.values()])
    confirmed_in = time.monotonic() - began
    rack.pull_all()

    waits = sorted(identified[slot] - plugged[slot] for slot in cards)
    figure(
        f"{len(cards)} recorders docked in {docked_in:.1f} s; plug to identified: first {waits[0]:.1f} s,"
        f" median {waits[len(waits) // 2]:.1f} s, last {waits[-1]:.1f} s;"
        f" all collected after {collected_in:.0f} s, confirmed after {confirmed_in:.0f} s"
    )
    wrong = [differs(rack.centre, card.number, held(images[slot])) for slot, card in cards.items()]
    assert not any(wrong), "\n".join(wrong)
    assert {slot: digest(image) for slot, image in images.items()} == before, "a card was written to"
    assert docked_in < _SECONDS, "this machine is too slow to dock them all at once: nothing was shown"


def test_one_recorder_is_identified_at_once(
    rack: Machine, shelf: Path, figure: Callable[[str], None]
) -> None:
    image = recorder(shelf / "1500001.img", Card("1500001"), clips=2, size=100_000)
    began = time.monotonic()
    rack.plug(image, SLOTS["05"])
    rack.guest.wait_for(lambda status: any(s["recorder"] == "1500001" for s in status["slots"]))
    figure(f"one recorder alone: plug to identified {time.monotonic() - began:.1f} s")
    rack.guest.until_slot("05", "collected")


def test_time_from_power_to_ready_is_told_beside_the_guests_own(
    rack: Machine, figure: Callable[[str], None]
) -> None:
    """The agent is not what one waits for: it is ready within the time that the system itself takes."""
    entered = "systemctl show recorder-station.service --property=ActiveEnterTimestampMonotonic --value"
    started = "systemctl show recorder-station.service --property=InactiveExitTimestampMonotonic --value"
    ready, begun = int(rack.guest.sh(entered)) / 1e6, int(rack.guest.sh(started)) / 1e6
    figure(f"power to READY (seen from outside): {rack.ready_after:.0f} s")
    figure(f"kernel to READY: {ready:.0f} s, of which the agent's own start {ready - begun:.0f} s")
    figure("the guest's own boot: " + rack.guest.sh("systemd-analyze time").replace("\n", " · "))
