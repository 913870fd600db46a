"""What is rotten is made whole again, from a real folder centre or its recorder; nothing else is harmed."""

import errno
import shutil
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import durable
from agent.catalog import rot
from agent.errors import DeviceGone, NotEqual, Stopping
from agent.ingest import scrub
from agent.model import Problem
from tests.dockside import Heard
from tests.erasing import NAME
from tests.scrubbing import House, collected, spoil

pytestmark = pytest.mark.usefixtures("trusted_clock")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, time.time)


def test_a_flipped_byte_is_found_and_healed_from_the_centre_without_loss(house: House) -> None:
    collected(house, 1, 2, 3)
    path, data = spoil(house.path(2))
    house.scrub.step()
    assert path.read_bytes() == data
    assert house.states() == ["confirmed"] * 3
    [found] = house.events("rotten")
    assert (found["params"]["why"], found["params"]["parts"]) == ("differs", [0])
    assert [told["source"] for told in house.events("healed")] == ["centre"]
    assert len(list(house.store.quarantined.iterdir())) == 1
    assert list(house.store.incoming.iterdir()) == []
    assert house.figures()[2:] == (0, 0, 1)
    assert house.scrub.step() == scrub.LOOK  # nothing is due any more


@pytest.mark.parametrize("how", ["flip", "cut", "longer", "gone", "folder", "link", "fifo"])
def test_whatever_became_of_a_file_it_is_healed(house: House, how: str) -> None:
    collected(house, 1, 2)
    path, data = spoil(house.path(1), how)
    house.scrub.step()
    assert path.read_bytes() == data
    assert not path.is_symlink()
    assert house.states() == ["confirmed"] * 2


def test_what_nobody_has_is_quarantined_and_copied_again_from_its_recorder(house: House) -> None:
    collected(house, 1, 2, sent=False)
    path, data = spoil(house.path(1))
    house.scrub.step()
    assert house.states() == ["quarantined", "stored"]
    house.send()
    assert house.states() == ["confirmed", "quarantined"]
    assert house.dock()[0]
    house.send()
    assert path.read_bytes() == data
    assert house.states() == ["confirmed"] * 2
    assert house.marks() == []


def test_a_confirmed_clip_that_cannot_be_fetched_waits_is_told_and_keeps_every_copy(house: House) -> None:
    collected(house, 1, 2)
    spoil(house.path(1))
    house.target.down = True
    house.scrub.step()
    assert house.states() == ["confirmed"] * 2
    assert house.waiting() == 1
    assert house.path(1) is not None
    house.erase_after("stored")
    house.dock()  # its recorder is there, and has it: so it is copied again before anything is asked
    house.target.down = False
    house.later()
    house.scrub.step()
    assert house.waiting() == 0
    assert house.events("healed")[0]["source"] == "here"


def test_nothing_is_erased_from_a_recorder_while_the_copy_here_is_rotten(house: House) -> None:
    collected(house, 1, 2)
    [clip] = [clip for clip in house.clips() if house.number(clip) == 1]
    house.catalog.write(lambda tx: rot.found(tx, clip, Problem("not-equal", {})))
    assert "kept-rotten" in house.hinders(clip)
    with pytest.raises(sqlite3.IntegrityError, match="rotten here is not released"):
        house.force_release(clip)


def test_a_centre_that_has_lost_it_too_leads_to_its_recorder(house: House) -> None:
    collected(house, 1, 2)
    path, data = spoil(house.path(1))
    house.lose(1)
    house.scrub.step()
    assert house.states() == ["confirmed"] * 2
    assert house.waiting() == 1
    house.send()  # asked to show that it has it, and does not
    house.later()
    house.scrub.step()
    assert house.states() == ["confirmed", "quarantined"]
    assert house.dock()[0]
    house.send()
    assert house.states() == ["confirmed"] * 2
    assert path.read_bytes() == data


def test_other_bytes_of_the_centre_are_never_believed(house: House) -> None:
    collected(house, 1)
    path, _ = spoil(house.path(1))
    rotten = path.read_bytes()
    spoil(house.at_centre(1))
    house.scrub.step()
    assert path.read_bytes() == rotten
    assert house.events("healed") == []
    assert list(house.store.incoming.iterdir()) == []


def test_a_copy_for_a_rotten_one_that_was_cut_short_ends_and_is_missed_by_nobody(house: House) -> None:
    house.record(1, size=3 << 20)
    collected(house, 2)
    path, data = spoil(house.path(1))
    house.target.down = True
    house.scrub.step()
    with pytest.raises(DeviceGone):
        house.dock(Heard(pull_after=1))
    house.target.down = False
    house.later()
    house.scrub.step()  # now the centre gives it
    assert path.read_bytes() == data
    assert house.states() == ["confirmed", "confirmed", "seen"]
    assert house.dock()[0]
    assert house.states() == ["confirmed"] * 2
    assert house.findings() == []


def test_a_heal_leaves_the_reserve_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    collected(house, 1)
    path, data = spoil(house.path(1))
    free = [house.store.disk()]
    monkeypatch.setattr(house.ingest.room, "_disk", lambda: (100, free[0][1], 100))
    house.scrub.step()
    assert path.read_bytes() != data
    assert house.waiting() == 1
    monkeypatch.undo()
    house.later()
    house.scrub.step()
    assert path.read_bytes() == data


def test_what_uploading_found_to_be_rotten_is_healed_from_another_centre(house: House) -> None:
    collected(house, 1)
    [clip] = house.clips()
    path, data = spoil(house.path(1))
    house.reopen_delivery(clip)  # a second target does not have it yet
    house.catalog.write(lambda tx: rot.found(tx, clip, Problem("not-equal", {"part": 0})))
    assert house.states() == ["quarantined"]
    house.scrub.step()
    assert path.read_bytes() == data
    assert house.states() == ["stored"]


def test_another_clip_with_the_same_content_is_left_alone(house: House) -> None:
    collected(house, 1, sent=False)
    data = house.files()[NAME.format(1, 1)]
    spoil(house.path(1))
    house.scrub.step()
    (house.card / NAME.format(1, 1)).unlink()
    house.put(NAME.format(7, 7), data)
    assert house.dock()[0]
    house.send()
    assert house.states() == ["confirmed", "quarantined"]
    house.age()
    house.later()
    house.scrub.step()
    assert house.states() == ["confirmed", "quarantined"]
    assert house.path(7).read_bytes() == data


def test_what_its_recorder_has_put_there_while_it_was_fetched_stays(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1)
    path, data = spoil(house.path(1))
    real = house.fetch

    def fetch(*given: Any) -> Any:
        come = real(*given)
        assert house.dock()[0]  # copied again, and put in its place
        assert path.read_bytes() == data
        return come

    monkeypatch.setattr(house, "fetch", fetch)
    house.scrub = house.make(house.pause)
    house.scrub.step()
    there = path.stat().st_ino
    assert house.waiting() == 1
    house.later()
    house.scrub.step()
    assert (house.waiting(), path.stat().st_ino) == (0, there)
    assert [told["source"] for told in house.events("healed")] == ["here"]
    assert list(house.store.incoming.iterdir()) == []


def test_a_heal_that_nobody_wants_any_more_leaves_nothing_behind(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1)
    spoil(house.path(1))
    [clip] = house.clips()
    real = house.fetch

    def fetch(*given: Any) -> Any:
        come = real(*given)
        house.catalog.write(lambda tx: rot.forget(tx, clip))  # as a docking does that begins to copy it again
        return come

    monkeypatch.setattr(house, "fetch", fetch)
    house.scrub = house.make(house.pause)
    house.scrub.step()
    assert list(house.store.incoming.iterdir()) == []


def test_a_heal_that_fails_in_the_end_gives_its_room_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1)
    path, data = spoil(house.path(1))

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as short:
        short.setattr(house.store, "set_aside", full)
        house.scrub.step()
    assert list(house.store.incoming.iterdir()) == []
    house.later()
    house.scrub.step()
    assert path.read_bytes() == data


def test_a_fault_in_one_heal_keeps_nothing_else_from_being_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1, 2, 3)
    path, data = spoil(house.path(1))

    def broken(*_: Any) -> Any:
        raise KeyError("what a centre said and nobody thought of")

    with monkeypatch.context() as odd:
        odd.setattr(house, "fetch", broken)
        house.scrub = house.make(house.pause)
        house.scrub.step()
    assert (house.figures().due, house.waiting()) == (0, 1)
    house.scrub = house.make(house.pause)
    house.scrub.step()
    assert path.read_bytes() == data


@pytest.mark.parametrize("restarted", [True, False])
def test_a_disk_that_comes_to_itself_gives_back_what_was_quarantined_for_it(
    house: House, restarted: bool
) -> None:
    collected(house, 1, 2, sent=False)
    path, data = spoil(house.path(1))
    house.scrub.step()
    assert house.states() == ["quarantined", "stored"]
    path.write_bytes(data)  # as a plug that sits again, or a copy that an administrator put there
    house.scrub.step()
    assert house.states() == ["quarantined", "stored"]  # it is not read at every step
    if restarted:
        house.scrub = house.make(house.pause)
    else:
        house.time.mono += house.settings.every
    house.scrub.step()
    assert house.states() == ["stored"] * 2
    assert [told["source"] for told in house.events("healed")] == ["here"]
    house.send()
    assert house.states() == ["confirmed"] * 2


def test_what_is_whole_again_is_so_for_no_docking_that_is_under_way(house: House) -> None:
    collected(house, 1, 2, sent=False)
    path, data = spoil(house.path(1))
    house.scrub.step()
    path.write_bytes(data)
    house.scrub = house.make(house.pause)
    recorder = house.catalog.read().execute("SELECT recorder FROM clips").fetchone()[0]
    with house.ingest.locks.hold(recorder, lambda: None):  # it has listed the clip as one to be copied
        house.waits_left = 0
        with pytest.raises(Stopping):
            house.scrub.step()
    assert house.states() == ["quarantined", "stored"]
    house.waits_left = 1_000_000
    house.scrub.step()
    assert house.states() == ["stored"] * 2


def test_a_heal_takes_no_room_that_a_docking_was_promised(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1)
    path, data = spoil(house.path(1))
    monkeypatch.setattr(house.ingest.room, "_disk", lambda: (1 << 30, 1 << 31, 0))
    with house.ingest.room.promise("another recorder") as promise:
        assert promise.take([(1 << 30) - len(data) // 2])
        house.scrub.step()
        assert path.read_bytes() != data
    house.later()
    house.scrub.step()
    assert path.read_bytes() == data


def test_a_copy_in_the_place_of_one_that_is_gone_has_all_its_folders_on_the_disk(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1)
    path = house.path(1)
    shutil.rmtree(path.parent.parent)  # the day, and the recorder
    house.target.down = True
    house.scrub.step()
    synced, real = set[Path](), durable.sync_folder

    def sync(folder: Path) -> None:
        real(folder)
        synced.add(folder)

    monkeypatch.setattr(durable, "sync_folder", sync)
    assert house.dock()[0]
    assert path.is_file()
    assert {path.parent, path.parent.parent, house.store.clips} <= synced


def test_who_had_confirmed_what_was_quarantined_is_asked_for_it_again_once_it_is_whole(house: House) -> None:
    collected(house, 1)
    [clip] = house.clips()
    spoil(house.path(1))
    house.reopen_delivery(clip)  # a second target does not have it yet
    house.scrub.step()
    assert house.states() == ["stored"]
    rows = house.catalog.read().execute("SELECT state, asked FROM deliveries").fetchall()
    assert [tuple(row) for row in rows] == [("confirmed", 0.0)]


def test_a_disk_that_others_fill_meanwhile_ends_a_heal(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    collected(house, 1)
    path, data = spoil(house.path(1))
    looks = iter([(1 << 30, 1 << 31, 0)])
    monkeypatch.setattr(house.ingest.room, "_disk", lambda: next(looks, (0, 1 << 31, 0)))
    house.scrub.step()
    assert path.read_bytes() != data
    assert list(house.store.incoming.iterdir()) == []


def test_a_centre_that_sends_without_end_fills_no_disk(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    collected(house, 1)
    path, data = spoil(house.path(1))
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        while sent < 100 * len(data):
            sent += len(data)
            yield data

    def fetch(clip: int, put: Callable[[Iterator[bytes]], None], wait: Any) -> list[Problem]:
        with pytest.raises(NotEqual):
            put(endless())
        return [Problem("export-other-bytes")]

    monkeypatch.setattr(house, "fetch", fetch)
    house.scrub = house.make(house.pause)
    house.scrub.step()
    assert sent == 2 * len(data)
    assert path.read_bytes() != data
