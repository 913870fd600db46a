"""A disk may lose what it was not told to flush. The log of all writes of one docking is replayed up to each
flush, which is the least that a power cut leaves of it, and each of these states is looked at.
"""

import contextlib
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.catalog.home import catalog_path
from agent.model import COLLECTED, ClipState
from tests.crash.rack import digest
from tests.vm import write_log
from tests.vm.arrival import until_all_confirmed
from tests.vm.conftest import Boot
from tests.vm.disk import Disk
from tests.vm.machine import SLOTS
from tests.vm.recorders import MIB, Card, recorder
from tests.vm.station import Order

_SAFE = COLLECTED | {ClipState.MERGED}


@pytest.mark.vm_full
def test_at_every_flush_of_a_docking_what_is_stored_is_there(
    boot: Boot, shelf: Path, figure: Callable[[str], None]
) -> None:
    machine = boot(Order(size=4 << 30))
    machine.until_ready()
    machine.power_off()
    before, log = machine.folder / "before.img", machine.folder / "writes.log"
    Disk.copy(machine.disk, before)

    machine.hardware.disk_options = write_log.options(machine.disk, log)
    machine.start()
    machine.until_ready()
    image = recorder(shelf / "2200001.img", Card("2200001", "exfat", mib=48), clips=12, size=MIB)
    machine.plug(image, SLOTS["01"])
    machine.guest.until_slot("01", "collected")
    told = log.stat().st_size  # whoever takes the recorder away now relies on what was flushed by now
    until_all_confirmed(machine, ["2200001"])
    machine.power_off()

    collected_at = write_log.entries_within(log, told)
    flushes, most = 0, 0
    with before.open("r+b") as disk:
        for entry in write_log.replay(log, disk):
            stored = _stored(Disk(before), machine.folder / "then")
            assert stored >= most or not flushes, (
                f"flush {flushes}: {most} clips were stored, now {stored} are"
            )
            assert stored == 12 or entry < collected_at, (
                f"flush {flushes}: {stored} clips, collected was said"
            )
            flushes, most = flushes + 1, stored
    assert most == 12
    figure(f"{flushes} flushes of one boot and docking replayed, each a whole station")
    before.unlink()


def _stored(disk: Disk, folder: Path) -> int:
    """How many clips the catalog calls stored or more, each of them there byte for byte."""
    store = disk.data(folder, "/recorder-station") / "recorder-station"
    try:
        return sum(1 for _ in _sound(store))
    finally:
        shutil.rmtree(folder)


def _sound(store: Path) -> Iterator[int]:
    if not catalog_path(store).exists():
        return
    with contextlib.closing(sqlite3.connect(catalog_path(store))) as db:
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        if not db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'clips'").fetchone():
            return
        for clip, state, key, sha256 in db.execute("SELECT id, state, key, lower(hex(sha256)) FROM clips"):
            if ClipState(state) in _SAFE:
                assert digest(store / "clips" / key) == sha256, f"clip {clip} is {state} and {key} is not it"
                yield clip
