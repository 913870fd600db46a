"""What a rack meets beside recorders: none of it stops the station, and each slot says what is wrong."""

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from agent.status.shape import SlotShape, StatusShape
from tests.vm.arrival import differs, until_all_confirmed
from tests.vm.machine import SLOTS, Machine
from tests.vm.recorders import MIB, Card, FileSystem, held, make, partitioned, recorder

#: Many recorders that keep the kernel busy.
pytestmark = pytest.mark.vm_full

_KINDS: tuple[FileSystem, ...] = ("fat32", "exfat", "ext4", "ntfs")
_ENDED = ("collected", "incomplete", "failed")
_OOPS = "BUG: |Oops: |Kernel panic|general protection fault|refcount_t: |WARNING: .* at fs/"


@pytest.fixture(autouse=True)
def _the_station_goes_on(rack: Machine, shelf: Path) -> Iterator[None]:
    """The same agent, an unharmed kernel, and another slot that collects beside the bad one."""
    pid = "systemctl show recorder-station.service --property=MainPID --value"
    before = rack.guest.sh(pid)
    yield
    number = f"19{Random(str(shelf)).randrange(10_000, 100_000)}"
    image = recorder(shelf / f"{number}.img", Card(number, "fat32"), clips=2, size=100_000)
    rack.plug(image, SLOTS["16"])
    rack.guest.until_slot("16", "collected")
    until_all_confirmed(rack, [number])
    assert differs(rack.centre, number, held(image)) == ""
    assert rack.guest.sh(pid) == before, "the agent was restarted"
    assert rack.guest.sh(f"dmesg | grep -E '{_OOPS}'", check=False) == ""


def _ended(machine: Machine, slots: list[str]) -> dict[str, SlotShape]:
    """What these slots show once each of them came to an end."""

    def all_ended(status: StatusShape) -> dict[str, SlotShape] | None:
        shown = {s["slot"]: s for s in status["slots"] if s["slot"] in slots and s["state"] in _ENDED}
        return shown if len(shown) == len(slots) else None

    return machine.guest.wait_for(all_ended) or {}


def test_a_recorder_with_ten_partitions_is_collected_whole(rack: Machine, shelf: Path) -> None:
    number, partitions = "1900001", list[tuple[FileSystem, Path]]()
    whole = shelf / "all"
    for part in range(10):
        fs: FileSystem = "exfat" if part % 2 else "fat32"
        single = recorder(shelf / f"{part}.img", Card(number, fs, "none", mib=40), clips=1, seed=part)
        partitions.append((fs, single))
        for path in held(single).rglob("*.*"):
            to = whole / str(part) / path.name
            to.parent.mkdir(parents=True)
            path.rename(to)
    rack.plug(partitioned(shelf / "ten.img", partitions, "gpt"), SLOTS["01"])
    shown = _ended(rack, ["01"])["01"]
    assert (shown["state"], shown["recorder"], shown["files_done"]) == ("collected", number, 10), shown
    until_all_confirmed(rack, [number])
    assert differs(rack.centre, number, whole) == ""


def test_disks_that_are_no_recorders_are_told(rack: Machine, shelf: Path) -> None:
    noise = shelf / "noise.img"
    noise.write_bytes(Random(1).randbytes(8 * MIB))
    blank = shelf / "blank.img"
    blank.write_bytes(bytes(8 * MIB))
    tiny = shelf / "tiny.img"
    tiny.write_bytes(bytes(512))
    table = partitioned(shelf / "table.img", [], "mbr")
    unformatted = shelf / "raw.part"
    unformatted.write_bytes(bytes(4 * MIB))
    unformatted_partition = partitioned(shelf / "partition.img", [("exfat", unformatted)], "mbr")
    empty = shelf / "empty"
    empty.mkdir()
    no_files = make(shelf / "no_files.img", Card("1900002", "fat32"), empty)
    images = [noise, blank, tiny, table, unformatted_partition, no_files]
    slots = list(SLOTS)[: len(images)]
    for slot, image in zip(slots, images, strict=True):
        rack.plug(image, SLOTS[slot])
    shown = _ended(rack, slots)
    for slot in slots:
        assert shown[slot]["problems"], f"the slot says nothing: {shown[slot]}"
    for slot in slots[:-1]:
        assert shown[slot]["state"] == "failed", shown[slot]
        assert shown[slot]["problems"][0]["key"] == "no-file-system", shown[slot]


@pytest.mark.parametrize("fs", _KINDS)
def test_a_damaged_file_system_ends_in_a_slot_that_says_so(
    rack: Machine, shelf: Path, fs: FileSystem
) -> None:
    """Bits are flipped where a file system keeps its structures, others in each slot, the same at every run.
    Whatever the kernel's driver makes of it: the docking ends, and a slot that is not well says why."""
    slots = list(SLOTS)[:8]
    cards = {slot: Card(f"19{_KINDS.index(fs) + 1}{slot:>04}", fs, "none") for slot in slots}
    for slot, card in cards.items():
        image = recorder(shelf / f"{card.number}.img", card, clips=4, size=200_000)
        _spoil(image, Random(f"{fs}/{slot}"))
        rack.plug(image, SLOTS[slot])
    shown = _ended(rack, slots)
    told = {slot: (s["state"], [p["key"] for p in s["problems"]]) for slot, s in shown.items()}
    print(told)
    for slot, (state, problems) in told.items():
        assert state == "collected" or problems, f"slot {slot} says nothing: {shown[slot]}"
        assert "internal" not in problems, shown[slot]


def _spoil(image: Path, rng: Random) -> None:
    """Only bytes that are in use, which is where a small card has its structures; clips lie behind them."""
    with image.open("r+b") as file:
        head = bytearray(file.read(4 * MIB))
        used = [at for at in range(len(head)) if head[at] and at < 3 * MIB // 2]
        for at in rng.sample(used, min(len(used), 60)):
            head[at] ^= 1 << rng.randrange(8)
        file.seek(0)
        file.write(head)
