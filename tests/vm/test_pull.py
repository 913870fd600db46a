"""A recorder that is pulled in the middle of a file, and docked again somewhere else."""

from pathlib import Path

from tests.vm.arrival import differs, until_all_confirmed
from tests.vm.machine import SLOTS, Machine
from tests.vm.recorders import MIB, Card, digest, held, recorder

_FILE = 80 * MIB  # ten parts
_BEFORE_THE_PULL = 60 * MIB
_PER_SECOND = 6 * MIB  # slow enough that a look at the status comes in time


def test_pulled_in_the_middle_of_a_file_it_is_resumed_in_another_slot(rack: Machine, shelf: Path) -> None:
    card = Card("1700001", "exfat", "mbr", mib=96)
    image = recorder(shelf / "1700001.img", card, clips=1, size=_FILE)
    before = digest(image)
    rack.plug(image, SLOTS["03"], limits={"bps-read": _PER_SECOND})
    rack.guest.wait_for(
        lambda status: any(s["slot"] == "03" and s["bytes_done"] > _BEFORE_THE_PULL for s in status["slots"])
    )
    rack.pull(SLOTS["03"])
    rack.guest.wait_for(lambda status: all(s["recorder"] != card.number for s in status["slots"]))
    assert not list((rack.centre / "clips").glob(f"{card.number}/**/*.mp4")), "sent before it was whole"

    rack.plug(image, SLOTS["12"])
    shown = rack.guest.until_slot("12", "collected", "incomplete", "failed")
    assert (shown["state"], shown["recorder"], shown["problems"]) == ("collected", card.number, [])
    read = rack.bytes_read(SLOTS["12"])
    until_all_confirmed(rack, [card.number])
    rack.pull_all()
    assert differs(rack.centre, card.number, held(image)) == ""
    assert digest(image) == before
    # Seven whole parts were there; four of them are read again as a check, and three that were missing.
    assert read < 9 * _FILE // 10, f"started over: {read} bytes read of {_FILE}"
