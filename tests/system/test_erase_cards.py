"""A card is erased of exactly what is safe, over a real block device and its real file system: driver,
mounts, ingest and the verbs as they are.
"""

import os
import struct
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.dock.mounts import Mounts
from agent.model import Device, DeviceKind
from agent.privileged import checking, mounting
from agent.privileged.verbs import InProcess
from drivers.mass_storage import MassStorage
from tests.dockside import Heard
from tests.erasing import NAME, RECORDER, House
from tests.here import require
from tests.loops import MIB, NEEDS, TAG, Make, Recorder, folder, recorder, run, turn, udev
from tests.vm.recorders import Card, make

pytestmark = pytest.mark.usefixtures("trusted_clock")

require(*NEEDS)
__all__ = ["folder", "recorder", "turn", "udev"]  # fixtures of this module

_KINDS = {"ext4": "ext4", "vfat": "fat32", "exfat": "exfat"}
OLD, FRESH = [NAME.format(n, n) for n in (1, 2, 3)], NAME.format(4, 4)


class Carded(House):
    """Its card is a loop device."""

    def __init__(self, root: Path, one: Recorder, fs_type: str) -> None:
        super().__init__(root, time.time)
        self.one, self.fs_type = one, fs_type
        self.mounts = Mounts(InProcess(root / "mounts", TAG))

    def device(self) -> Device:
        return Device(
            self.one.node, DeviceKind.VOLUME, self.one.slot, sysfs=str(self.one.sysfs), fs_type=self.fs_type,
            fs_uuid="1234-ABCD", fs_label=RECORDER,
        )  # fmt: skip

    def dock(self, heard: Heard | None = None) -> tuple[bool, Heard]:
        heard, device = heard or Heard(), self.device()
        with (
            self.mounts.lend(device, "d", lambda: None) as port,
            closing(MassStorage().open(device, port)) as session,
        ):
            return self.ingest.collect(session, "A1", device.port, heard), heard

    def files(self) -> dict[str, bytes]:
        with self.mounts.lend(self.device(), "d", lambda: None) as port:
            found = (path for path in port.path.rglob("*.mp4") if path.is_file())
            return {str(path.relative_to(port.path)): path.read_bytes() for path in found}


@pytest.fixture(params=_KINDS)
def house(request: pytest.FixtureRequest, tmp_path: Path, recorder: Make) -> Iterator[Carded]:
    fs_type: str = request.param
    require(fs_type)
    source = tmp_path / "source"
    for number, name in enumerate([*OLD, FRESH]):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(50_000 + number))
    one = recorder(size=64 * MIB)
    kind: Any = _KINDS[fs_type]
    make(one.image, Card(RECORDER, kind, "none", 64), source)
    made = Carded(tmp_path / "house", one.examined(), fs_type)
    try:
        made.dock()
        held = made.catalog.write(
            lambda tx: tx.execute("SELECT id FROM clips WHERE CAST(path AS TEXT) = ?", (FRESH,)).fetchone()[0]
        )
        made.send()
        made.hold("clip", str(held))
        yield made
    finally:
        made.stop()
        for point in mounting.mounted_below(tmp_path / "house" / "mounts"):
            run("umount", point)


def test_exactly_what_is_safe_is_erased_and_other_files_keep_every_byte(house: Carded) -> None:
    before = house.files()
    complete, heard = house.dock()
    assert complete
    assert ("erased", {"count": 3}) in heard.problems
    assert house.files() == {FRESH: before[FRESH]}
    [said] = house.events("erased")
    assert (said["fates"], said["left"]["kept-by-hold"]) == ({"erased": 3}, 1)
    assert run("blockdev", "--getro", house.one.node) == "1"
    checking.check(Path(house.one.node), house.fs_type)
    house.one.pull()
    house.one.examined()
    assert house.files() == {FRESH: before[FRESH]}
    assert house.dock()[0]
    assert house.findings() == []


def test_a_damaged_card_keeps_every_byte(house: Carded) -> None:
    house.one.pull()
    damage(house.one.image, house.fs_type)
    house.one.examined()
    before = house.one.digest()
    heard = house.visit()
    assert "erase-damaged" in heard.told()
    assert house.one.digest() == before


def test_a_pull_in_the_middle_is_finished_at_the_next_docking(
    house: Carded, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.unlink, iter(range(100))

    class Died(BaseException):
        pass

    def dying(name: str, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None and next(calls) == 1:
            raise Died
        real(name, dir_fd=dir_fd)

    before = house.files()
    monkeypatch.setattr(os, "unlink", dying)
    with pytest.raises(Died):
        house.dock()
    monkeypatch.undo()
    assert house.open_lists() == 1
    house.restart()
    house.one.pull()
    house.one.examined()
    house.dock()
    assert house.files() == {FRESH: before[FRESH]}
    assert [said["fates"] for said in house.events("erased")] == [{"gone": 1, "unfinished": 2}, {"erased": 2}]
    assert house.findings() == []


def damage(image: Path, fs_type: str) -> None:
    """The file that is not to be erased begins where one begins that is. (ext4: a count is wrong.)"""
    if fs_type == "ext4":
        names = [f"<{number}>" for number in _inodes(image)]
        run("debugfs", "-w", "-R", f"set_inode_field {names[0]} blocks 2", image)
        return
    data = bytearray(image.read_bytes())
    if fs_type == "vfat":
        entries = [at for at in range(0, len(data), 32) if data[at + 8 : at + 11] == b"MP4"]
        data[entries[-1] + 26 : entries[-1] + 28] = data[entries[0] + 26 : entries[0] + 28]
    else:
        streams = [at for at in range(0, len(data), 32) if data[at] == 0xC0 and data[at - 32] == 0x85]
        two, one = streams[-len(OLD) - 1], streams[-1]
        data[one + 20 : one + 24] = data[two + 20 : two + 24]
        start, total = one - 32, 0
        for at in range(start, start + (data[start + 1] + 1) * 32):
            if at - start not in (2, 3):
                total = (((total & 1) << 15) + (total >> 1) + data[at]) & 0xFFFF
        struct.pack_into("<H", data, start + 2, total)
    image.write_bytes(data)


def _inodes(image: Path) -> list[str]:
    said = run("debugfs", "-R", "ls -p DCIM", image)
    return [line.split("/")[1] for line in said.splitlines() if ".mp4" in line]
