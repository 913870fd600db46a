"""What left the station is its log: whole, provable without the station, and never to be taken back."""

import itertools
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.custody.log import leaving, tiles
from agent.custody.log.keeper import Keeper
from agent.custody.log.tiles import WIDTH
from agent.custody.verifier import Head, Key, Note, check_consistency, leaf_hash
from agent.errors import Stopping
from agent.upload.report.turn import Author, Report
from agent.upload.targets.base import Check, go_on
from agent.upload.targets.folder import FolderTarget
from tests.custody_house import STATION, House, house
from tests.uploading import Station


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path / "uploads")
    made.run()  # the centre says who it is
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Iterator[House]:
    with house(tmp_path / "store") as made:
        yield made


def report(station: Station, folder: Path, check: Check = go_on) -> Report:
    author = Author(STATION, "one", dict, lambda log, size: leaving.steps(folder, log, size))
    target = station.targets["centre"]
    assert isinstance(target, FolderTarget)
    return Report(author, station.uploads.generation, target, check, station.clock)


def at_centre(station: Station) -> Path:
    return station.share / "stations" / STATION / "custody"


def heads_of(folder: Path) -> list[Head]:
    """Checked with nothing but the key that lies beside them."""
    key = Key.parse((folder / "key.pub").read_text().strip())
    origin = f"{key.name}/{folder.name}"
    notes = [Note.parse(path.read_bytes()) for path in sorted((folder / "heads").iterdir())]
    return [Head.checked(note, [key], origin) for note in notes]


def entries_of(folder: Path) -> list[bytes]:
    found, n = list[bytes](), 0
    while (path := folder / tiles.path("entries", n)).exists():
        found += tiles.unbundle(path.read_bytes())
        n += 1
    return found


def tree(leaves: list[bytes]) -> tiles.Read:
    return lambda level, n: tiles.tile_root(
        [leaf_hash(each) for each in leaves[n << level : (n + 1) << level]]
    )


def test_after_each_turn_the_centre_holds_a_log_that_proves_itself(station: Station, log: House) -> None:
    reporting, rng = report(station, log.custody), random.Random(5)
    for _ in range(8):
        log.happen(rng.choice([1, 3, 100, WIDTH, 700]))
        log.log()
        assert reporting.turn()
        folder = at_centre(station) / "1"
        heads, entries = heads_of(folder), entries_of(folder)
        read = tree(entries)
        assert len(entries) == heads[-1].size == log.heads(1)[-1].size
        for head in heads:
            assert tiles.root(head.size, read) == head.root
        for old, new in itertools.pairwise(heads):
            proof = tiles.consistency(old.size, new.size, read)
            check_consistency(old.size, old.root, new.size, new.root, proof)
    for path in (log.custody / "1" / "tile").rglob("*"):
        if path.is_file():
            assert (at_centre(station) / path.relative_to(log.custody)).read_bytes() == path.read_bytes()


def test_nothing_is_laid_when_nothing_happened(station: Station, log: House) -> None:
    log.happen(300)
    log.log()
    reporting = report(station, log.custody)
    reporting.turn()
    before = {path: path.stat().st_ino for path in at_centre(station).rglob("*")}
    reporting.turn()
    assert {path: path.stat().st_ino for path in at_centre(station).rglob("*")} == before
    report(station, log.custody).turn()  # nor by the next agent
    assert {path: path.stat().st_ino for path in at_centre(station).rglob("*")} == before


def test_a_turn_that_is_cut_off_anywhere_is_gone_on_with(station: Station, log: House) -> None:
    class Cut:
        left = 0

        def __call__(self) -> None:
            self.left -= 1
            if self.left < 0:
                raise Stopping

    check, done = Cut(), False
    log.happen(700)
    log.log()
    for calls in range(100):
        check.left = calls
        try:
            done = report(station, log.custody, check).turn()
        except Stopping:
            continue
        break
    assert done
    assert calls > 5
    assert len(entries_of(at_centre(station) / "1")) == heads_of(at_centre(station) / "1")[-1].size


def test_every_log_of_a_station_leaves_it(station: Station, log: House) -> None:
    log.happen(300)
    log.log()
    report(station, log.custody).turn()
    log.happen(10)
    log.log()  # more of the first one, which nobody was told
    log.leave()
    (log.custody / "key").unlink()
    with house(log.store) as again:
        again.happen(5)
        again.log()
        report(station, again.custody).turn()
        for number in (1, 2):
            head = heads_of(at_centre(station) / str(number))[-1]
            assert head == again.heads(number)[-1]


def test_a_past_that_was_rewritten_does_not_pass_where_heads_have_been(
    station: Station, log: House, tmp_path: Path
) -> None:
    """By somebody who has the whole disk, and the key."""
    log.happen(300)
    log.log()
    reporting = report(station, log.custody)
    reporting.turn()
    first, entries = heads_of(at_centre(station) / "1")[-1], entries_of(at_centre(station) / "1")
    with house(tmp_path / "other") as other:
        other.custody.mkdir()
        for name in ("key", "key.pub"):
            shutil.copy(log.custody / name, other.custody / name)
        other.happen(300)
        other.log()
        assert other.heads(1)[-1].size == first.size
        assert other.heads(1)[-1].root != first.root
        again = Station(tmp_path / "again", station.targets)
        again.run()
        rewritten = report(again, other.custody)
        rewritten.turn()
        assert rewritten.written_by_two()
        again.close()
    assert heads_of(at_centre(station) / "1")[-1] == first
    assert entries_of(at_centre(station) / "1") == entries


def test_a_station_that_was_restored_from_an_old_copy_takes_nothing_back(
    station: Station, log: House, tmp_path: Path
) -> None:
    log.happen(300)
    log.log()
    log.leave()
    shutil.copytree(log.store, tmp_path / "old")
    with house(log.store) as again:
        again.happen(30)
        again.log()
        report(station, again.custody).turn()
    before = {path: path.read_bytes() for path in at_centre(station).rglob("*") if path.is_file()}
    with house(tmp_path / "old") as old:
        old.happen(5)
        old.log()
        other = Station(tmp_path / "other", station.targets)
        other.run()
        restored = report(other, old.custody)
        restored.turn()
        assert restored.written_by_two()
        other.close()
    assert {path: path.read_bytes() for path in at_centre(station).rglob("*") if path.is_file()} == before


def test_a_log_that_begins_is_not_told_before_its_first_head(station: Station, tmp_path: Path) -> None:
    for folder in (tmp_path / "none", tmp_path / "custody"):
        assert report(station, folder).turn()
        (folder / "1" / "tile").mkdir(parents=True)
        assert report(station, folder).turn()
        (folder / "1" / "heads").touch()  # the first head is just being written
        assert report(station, folder).turn()
    assert not at_centre(station).exists()


def test_a_keeper_and_a_report_work_side_by_side(station: Station, log: House) -> None:
    reporting = report(station, log.custody)
    keeper: Keeper = log.keeper
    keeper.start()
    for _ in range(20):
        log.happen(60)
        reporting.turn()
    log.leave()
    reporting.turn()
    folder = at_centre(station) / "1"
    entries, read = entries_of(folder), tree(entries_of(folder))
    for head in heads_of(folder):
        assert tiles.root(head.size, read) == head.root
    assert len(entries) == heads_of(folder)[-1].size
