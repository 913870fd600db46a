"""Real cards are erased of exactly the listed files by the image's own helper, kernel and checkers."""

import errno
import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.vm import erase_in_guest
from tests.vm.machine import SLOTS, Machine
from tests.vm.recorders import MIB, Card, FileSystem, digest, held, recorder

_SCRIPT = Path(erase_in_guest.__file__).read_bytes()
_CHECKERS = {"fat32": ("fsck.fat", "vfat"), "exfat": ("fsck.exfat", "exfat")}


def erased(machine: Machine, slot: str, *names: str) -> dict[str, Any]:
    ran = machine.guest.run("python3", "-", SLOTS[slot].id_path, *names, stdin=_SCRIPT)
    said: dict[str, Any] = json.loads(ran.out)
    return said


def contents(image: Path) -> dict[str, str]:
    root = held(image)
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(("fs", "number", "slot"), [("fat32", "1950001", "04"), ("exfat", "1950002", "05")])
def test_exactly_the_listed_files_go_and_the_card_stays_whole(
    rack: Machine, shelf: Path, fs: FileSystem, number: str, slot: str
) -> None:
    image = recorder(shelf / f"{number}.img", Card(number, fs), clips=4)
    before = contents(image)
    rack.plug(image, SLOTS[slot])
    rack.guest.until_slot(slot, "collected")
    doomed = sorted(name for name in before if name.endswith(".mp4"))[:2]
    told = erased(rack, slot, *doomed)
    assert [fate["outcome"] for fate in told["said"]["ok"]["files"]] == ["erased", "erased"]
    assert told["there"] == {name: sha256 for name, sha256 in before.items() if name not in doomed}
    rack.pull_all()
    part = shelf / f"{number}.part"
    part.write_bytes(image.read_bytes()[MIB : MIB + 64 * MIB])
    checker, _ = _CHECKERS[fs]
    assert subprocess.run([checker, "-n", part], capture_output=True, check=False).returncode == 0


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
    assert erased(rack, "06", name)["said"]["errno"] == errno.EUCLEAN
    rack.pull_all()
    assert digest(image) == before
