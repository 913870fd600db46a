"""Real cards are emptied of exactly what is listed, by the image's own agent, helper, kernel and checkers."""

import errno
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.privileged import checking
from tests.vm import erase_in_guest
from tests.vm.arrival import until_all_confirmed
from tests.vm.conftest import running
from tests.vm.machine import SLOTS, Machine
from tests.vm.power import STORE
from tests.vm.recorders import MIB, Card, FileSystem, digest, held, recorder
from tests.vm.station import CONFIG, Order

_SCRIPT = Path(erase_in_guest.__file__).read_bytes()
_CARDS: dict[FileSystem, tuple[str, str]] = {"fat32": ("1960001", "04"), "exfat": ("1960002", "05")}
_CLIPS = 24
_WRITES = 6  # a second, by the guest to the card: slow enough for a pull in the middle
#: A file's entry in its folder: what of it is found, how far behind its begin, and its first byte once the
#: file was removed.
_ENTRIES = {
    "fat32": (re.compile(rb"(?=MP4|WAV|JPG|LOG)"), 8, 0xE5),
    "exfat": (re.compile(rb"(?=\x85.{31}\xc0)", re.DOTALL), 0, 0x05),
}
_WHY = ("--name", "王伟", "--reason", "复核第十二号", "--lang", "en")
_LISTS = f"""
import json, sqlite3
db = sqlite3.connect("file:{STORE}/catalog/catalog.db?mode=ro", uri=True)
rows = db.execute("SELECT kind, body FROM events WHERE kind IN ('erasing', 'erased') ORDER BY seq")
print(json.dumps([[kind, json.loads(body)] for kind, body in rows]))
"""

ROSTER = "recorder,officer,unit\n" + "".join(f"{number},000001,\n" for number, _ in _CARDS.values())


@pytest.fixture(scope="module")
def emptying(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A station that empties recorders. Nobody keeps its clock, so a person says that it is right."""
    config = {**CONFIG, "roster": "roster.csv", "erase": {"enabled": True}}
    with running(tmp_path_factory.mktemp("vm") / "m", Order(config, {"roster.csv": ROSTER})) as machine:
        machine.until_ready()
        machine.guest.run("recorder-station", "retention", "confirm-clock", *_WHY)
        yield machine


def entries(image: Path, fs: FileSystem) -> Callable[[], int]:
    """How many files were removed since now, as the card itself shows."""
    find, ahead, gone = _ENTRIES[fs]
    data = image.read_bytes()
    found = [at.start() - ahead for at in find.finditer(data, MIB)]
    places = [at for at in found if at % 32 == 0 and data[at] != gone]

    def removed() -> int:
        with image.open("rb") as file:
            return sum(os.pread(file.fileno(), 1, at)[0] == gone for at in places)

    return removed


def contents(image: Path) -> dict[str, str]:
    root = held(image)
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def told(machine: Machine, recorder: str) -> list[tuple[str, dict[str, Any]]]:
    """The lists of files that were to go, and the certificates."""
    said = json.loads(machine.guest.run("python3", "-", stdin=_LISTS.encode()).out)
    lists = {body["docking"] for kind, body in said if kind == "erasing" and body["recorder"] == recorder}
    return [(kind, body) for kind, body in said if kind == "erased" or body["docking"] in lists]


def in_guest(machine: Machine, slot: str, *names: str) -> dict[str, Any]:
    """What the helper says to removing these, and what is there afterwards."""
    ran = machine.guest.run("python3", "-", SLOTS[slot].id_path, *names, stdin=_SCRIPT)
    said: dict[str, Any] = json.loads(ran.out)
    return said


def assert_whole(image: Path, fs: FileSystem) -> None:
    """Clusters that no file has are no damage: a pull leaves them."""
    part = image.with_suffix(".part")
    part.write_bytes(image.read_bytes()[MIB : MIB + 64 * MIB])
    try:
        checking.check(part, {"fat32": "vfat", "exfat": "exfat"}[fs])
    finally:
        part.unlink()


@pytest.mark.parametrize("fs", ["fat32", "exfat"])
def test_a_card_is_emptied_of_what_is_safe_elsewhere_and_a_pull_in_the_middle_is_finished_next_time(
    emptying: Machine, shelf: Path, fs: FileSystem
) -> None:
    number, slot = _CARDS[fs]
    image = recorder(shelf / f"{number}.img", Card(number, fs), clips=_CLIPS)
    before, guest = contents(image), emptying.guest
    emptying.plug(image, SLOTS[slot])
    guest.until_slot(slot, "collected")
    until_all_confirmed(emptying, [number])
    kept = [clip for clip in guest.clips() if clip["recorder"] == number][2]
    guest.run("recorder-station", "hold", "set", "--clip", str(kept["id"]), *_WHY)
    emptying.pull(SLOTS[slot])
    guest.wait_for(lambda status: all(one["recorder"] != number for one in status["slots"]))
    removed = entries(image, fs)
    assert removed() == 0, "erased before the centre had it"
    emptying.plug(image, SLOTS[slot], limits={"iops-write": _WRITES})
    guest.wait_until(lambda: removed() >= 3)
    emptying.pull(SLOTS[slot])
    went = removed()
    guest.wait_for(lambda status: all(one["recorder"] != number for one in status["slots"]))
    assert 3 <= went < len(before) - 1, "it was not pulled in the middle"
    [(_, listed)] = told(emptying, number)[-1:]
    assert listed["count"] == len(before) - 1

    emptying.plug(image, SLOTS[slot])
    guest.until_slot(slot, "collected")
    lists = told(emptying, number)
    certificates = [body for kind, body in lists if kind == "erased" and body["erasing"]][-2:]
    first, second = (one["fates"] for one in certificates)
    assert first == {"gone": went, "unfinished": len(before) - 1 - went}
    assert second == {"erased": len(before) - 1 - went}
    there = in_guest(emptying, slot)["there"]
    [name] = there
    assert there == {name: before[name]}
    assert Path(name).stem in kept["key"]
    emptying.pull_all()
    assert_whole(image, fs)


@pytest.mark.parametrize(("fs", "number", "slot"), [("fat32", "1950001", "04"), ("exfat", "1950002", "05")])
def test_exactly_the_named_files_go_and_the_card_stays_whole(
    rack: Machine, shelf: Path, fs: FileSystem, number: str, slot: str
) -> None:
    image = recorder(shelf / f"{number}.img", Card(number, fs), clips=4)
    before = contents(image)
    rack.plug(image, SLOTS[slot])
    rack.guest.until_slot(slot, "collected")
    doomed = sorted(name for name in before if name.endswith(".mp4"))[:2]
    told = in_guest(rack, slot, *doomed)
    assert [fate["outcome"] for fate in told["said"]["ok"]["files"]] == ["erased", "erased"]
    assert told["there"] == {name: sha256 for name, sha256 in before.items() if name not in doomed}
    rack.pull_all()
    assert_whole(image, fs)


def test_a_fat_whose_chains_cross_is_not_written_to(rack: Machine, shelf: Path) -> None:
    image = recorder(shelf / "1950003.img", Card("1950003", "fat32"), clips=3)
    data = bytearray(image.read_bytes())
    entries = [at for at in range(MIB, len(data), 32) if data[at + 8 : at + 11] == b"MP4"]
    data[entries[1] + 26 : entries[1] + 28] = data[entries[0] + 26 : entries[0] + 28]
    image.write_bytes(data)
    before = digest(image)
    rack.plug(image, SLOTS["06"])
    rack.guest.until_slot("06", "collected", "incomplete")
    name = sorted(name for name in contents(image) if name.endswith(".mp4"))[0]
    assert in_guest(rack, "06", name)["said"]["errno"] == errno.EUCLEAN
    rack.pull_all()
    assert digest(image) == before
