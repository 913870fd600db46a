"""What ingest promises when the recorder, the disk or the power fails: the rows of the crash table."""

import contextlib
import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import durable
from agent.catalog import intake
from agent.errors import DeviceGone
from agent.ingest import copy
from agent.ingest.source import fill
from agent.model import Identity, part_size_for
from drivers.base import Reader
from tests.dockside import Dockside, Heard, digest, media, recorder
from tests.here import require
from tests.small_disk import small_disk

NAME = "DCIM/8888888_000001_2026010112{:02}00_{:04}.mp4"
PART = part_size_for(0)


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    made = Dockside(tmp_path / "station")
    yield made
    made.close()


def name(number: int) -> str:
    return NAME.format(number % 60, number)


@pytest.mark.parametrize("seed", range(50))
def test_a_pull_at_any_byte_loses_nothing_and_the_next_docking_goes_on(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    side = Dockside(tmp_path / "station")
    sizes = [rng.choice([100, 60_000, 3 << 20, 19 << 20]) + rng.randrange(999) for _ in range(4)]
    folder = recorder(tmp_path / "rec", {name(n): size for n, size in enumerate(sizes)})
    heard = Heard(pull_after=rng.randrange(sum(sizes)))
    with contextlib.suppress(DeviceGone):  # pulled behind the last byte, it is whole
        side.dock(folder, heard)
    assert set(side.states()) <= {"seen", "stored"}
    stored = [row for row in side.rows() if row["state"] == "stored"]
    assert {row["sha256"] for row in stored} == side.stored_digests() <= media(folder)
    complete, _ = side.dock(folder, slot="B7")
    assert complete
    assert side.states() == {"stored": 4}
    assert side.stored_digests() == media(folder)
    assert side.leftovers() == []
    side.close()


def test_a_copy_cut_short_is_resumed_inside_the_file(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 10 * PART + 17})
    with pytest.raises(DeviceGone):
        side.dock(folder, Heard(pull_after=8 * PART))
    read: list[int] = []

    def counted(reader: Reader, view: memoryview, *args: Any) -> None:
        read.append(len(view))
        fill(reader, view, *args)

    monkeypatch.setattr(copy, "fill", counted)
    assert side.dock(folder)[0]
    assert sum(read) < 4 * PART
    assert side.stored_digests() == media(folder)


def test_a_partial_with_a_bad_part_is_cut_there(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 6 * PART})
    with pytest.raises(DeviceGone):
        side.dock(folder, Heard(pull_after=5 * PART))
    (clip,) = [row["id"] for row in side.rows()]
    flip(side.store.partial(clip), 2 * PART + 5)
    assert side.dock(folder)[0]
    assert side.stored_digests() == media(folder)


def test_a_partial_of_other_content_is_not_continued(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 6 * PART})
    os.utime(folder / name(1), ns=(7, 7))
    with pytest.raises(DeviceGone):
        side.dock(folder, Heard(pull_after=5 * PART))
    recorder(folder, {name(1): 6 * PART})
    os.utime(folder / name(1), ns=(7, 7))
    assert side.dock(folder)[0]
    assert side.stored_digests() == media(folder)


def test_a_bit_flipped_between_write_and_verify_is_found_and_the_clip_copied_again(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 3 * PART, name(2): 50_000})
    flips = iter([True, True])
    flush = side.store.flush

    def flush_and_flip(names: list[str]) -> None:
        flush(names)
        paths = list(map(Path, names))
        if paths and paths[0].suffix == ".part" and next(flips, False):
            flip(paths[0], paths[0].stat().st_size // 2)

    monkeypatch.setattr(side.store, "flush", flush_and_flip)
    complete, _ = side.dock(folder)
    assert side.stored_digests() <= media(folder)
    if not complete:
        complete, _ = side.dock(folder)
    assert complete
    assert side.stored_digests() == media(folder)
    assert len(list(side.store.quarantined.iterdir())) == 2


def test_a_disk_that_keeps_flipping_ends_in_quarantine_and_never_in_stored(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 3 * PART, name(2): 50_000})
    flush = side.store.flush

    def flush_and_flip(names: list[str]) -> None:
        flush(names)
        for path in map(Path, names):
            if path.suffix == ".part" and path.stat().st_size > PART:
                flip(path, PART + 3)

    monkeypatch.setattr(side.store, "flush", flush_and_flip)
    complete, heard = side.dock(folder)
    assert not complete
    assert "not-equal" in heard.told()
    assert side.states() == {"quarantined": 1, "stored": 1}
    monkeypatch.undo()
    assert side.dock(folder)[0]
    assert side.states() == {"stored": 2}
    assert side.stored_digests() == media(folder)


def test_unreadable_blocks_are_mapped_and_the_rest_of_the_recorder_goes_on(
    side: Dockside, tmp_path: Path
) -> None:
    size = 20 << 20
    faults = f"block: 65536\nfiles: {{{name(1)!r}: {'r' * 40 + 'EE' + 'r'}}}\n"
    folder = recorder(tmp_path / "rec", {name(1): size, name(2): 1000}, faults)
    complete, heard = side.dock(folder)
    assert not complete  # it is all there is, but it is not whole
    assert ("unreadable", {"path": name(1), "bytes": 2 * 65536}) in heard.problems
    assert side.states() == {"stored": 2}
    (row,) = [row for row in side.rows() if row["size"] == size]
    assert row["partial"]
    document = json.loads(side.store.sidecar(row["key"]).read_bytes())
    assert document["unreadable"] == [[40 * 65536, 2 * 65536]]
    expected = bytearray((folder / name(1)).read_bytes())
    expected[40 * 65536 : 42 * 65536] = bytes(2 * 65536)
    assert side.store.path(row["key"]).read_bytes() == expected


def test_a_file_that_grows_while_it_is_read_is_not_done_until_it_rests(
    side: Dockside, tmp_path: Path
) -> None:
    faults = f"block: 65536\nfiles: {{{name(1)!r}: W}}\n"
    folder = recorder(tmp_path / "rec", {name(1): 3 << 20, name(2): 1000}, faults)
    complete, heard = side.dock(folder)
    assert not complete
    assert "still-recording" in heard.told()
    assert side.states() == {"seen": 1, "stored": 1}
    (folder / ".faults.yaml").write_text("")
    complete, _ = side.dock(folder)
    assert complete
    assert side.states() == {"stored": 2}
    assert side.stored_digests() == media(folder)


def test_short_reads_are_no_harm(side: Dockside, tmp_path: Path) -> None:
    faults = f"block: 65536\nfiles: {{{name(1)!r}: S, {name(2)!r}: rSR}}\n"
    folder = recorder(tmp_path / "rec", {name(1): 3 << 20, name(2): 200_000}, faults)
    assert side.dock(folder)[0]
    assert side.stored_digests() == media(folder)


def test_links_and_fifos_are_told_and_harm_nothing(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 1000})
    (folder / "DCIM/link.mp4").symlink_to("/etc/passwd")
    os.mkfifo(folder / "DCIM/fifo.mp4")
    complete, heard = side.dock(folder)
    assert complete
    assert heard.told() == {"not-a-file"}
    assert side.states() == {"stored": 1}


def test_hostile_names_and_deep_folders_are_collected(side: Dockside, tmp_path: Path) -> None:
    deep = "/".join(f"d{n}" for n in range(39)) + "/clip.mp4"
    names = ["-rf.mp4", "a\nb.mp4", "a\u202egpj.mp4", "x" * 255, os.fsdecode(b"\xff\xfe.mp4"), "..mp4", deep]
    folder = recorder(tmp_path / "rec", {path: 100 + n for n, path in enumerate(names)})
    complete, _ = side.dock(folder)
    assert complete
    assert side.states() == {"stored": len(names)}
    assert side.stored_digests() == media(folder)
    inside = {path.resolve() for path in side.store.clips.rglob("*")}
    assert all(path.is_relative_to(side.store.clips.resolve()) for path in inside)


def test_on_a_full_disk_the_reserve_stays_and_the_catalog_can_commit(tmp_path: Path) -> None:
    require("loop", "ext4")
    with small_disk(tmp_path, 96 << 20) as disk, contextlib.ExitStack() as stack:
        side = Dockside(disk / "station", reserve=16 << 20)
        stack.callback(side.close)
        folder = recorder(tmp_path / "rec", {name(n): 12 << 20 for n in range(8)} | {name(9): 1000})
        complete, heard = side.dock(folder)
        assert not complete
        assert "store-full" in heard.told()
        assert side.states()["stored"] >= 2
        free, _, reserve = side.store.disk()
        assert free >= reserve - (2 << 20)  # the catalog's own growth
        assert side.stored_digests() < media(folder)
        for row in side.rows():  # the centre has them: room again
            if row["state"] == "stored":
                side.store.path(row["key"]).unlink()
        stored = side.states()["stored"]
        side.dock(folder)
        assert side.states()["stored"] > stored


@pytest.mark.parametrize("step", ["describe", "seal", "store"])
def test_a_crash_between_any_two_steps_of_sealing_ends_in_one_whole_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """The process dies for good there: a forked child docks, the parent restarts on what is left."""
    folder = recorder(tmp_path / "rec", {name(1): 2 * PART, name(2): 1000})
    child = os.fork()
    if child == 0:
        try:
            dock_and_die(tmp_path, folder, step)
        finally:
            os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    side = Dockside(tmp_path / "station")
    assert set(side.states()) <= {"seen", "stored"}
    if step != "describe":
        assert "stored" in side.states()
        assert side.stored_digests() <= media(folder)
    assert side.dock(folder)[0]
    assert side.states() == {"stored": 2}
    assert side.stored_digests() == media(folder)
    assert side.leftovers() == []
    side.close()


def dock_and_die(tmp_path: Path, folder: Path, step: str) -> None:
    side = Dockside(tmp_path / "station")

    def die(*_: Any, **__: Any) -> None:
        os._exit(9)

    if step == "seal":
        side.store.seal = die  # type: ignore[method-assign]
    else:
        setattr(intake, step, die)
    side.dock(folder)


def test_what_an_earlier_agent_left_under_the_same_key_is_read_before_it_is_believed(
    side: Dockside, tmp_path: Path
) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 1000, name(2): 2000})
    side.dock(folder)
    first, second = [row["key"] for row in side.rows()]
    flip(side.store.path(second), 7)
    side.close()
    shutil.rmtree(side.catalog.path.parent)
    again = Dockside(tmp_path / "station")
    assert again.dock(folder)[0]
    assert digest(again.store.path(first)) in media(folder)
    assert again.stored_digests() == media(folder)
    assert len(list(again.store.quarantined.iterdir())) == 1
    again.close()


def test_a_recorder_docked_while_its_last_docking_still_ends_waits_its_turn(
    side: Dockside, tmp_path: Path
) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 1000})
    heard = Heard()
    with side.ingest.locks.hold("8888888", heard.check), pytest.raises(DeviceGone):
        side.dock(folder, Heard(pull_after=0))
    assert side.dock(folder)[0]


def test_dockings_without_an_end_are_closed_at_the_next_start(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station")
    side.catalog.write(lambda tx: intake.begin_docking(tx, "A1", Identity("8888888", True, "1234-ABCD")))
    side.close()
    again = Dockside(tmp_path / "station")
    rows = again.catalog.read().execute("SELECT outcome FROM dockings").fetchall()
    assert [row[0] for row in rows] == ["interrupted"]
    again.close()


def flip(path: Path, offset: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 1]))
        os.fsync(file.fileno())
        durable.drop_cache(file.fileno())


def test_a_disk_that_refuses_the_name_neither_stops_the_start_nor_loses_the_clip(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 2 * PART, name(2): 1000})
    side = Dockside(tmp_path / "station")

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(durable, "rename_noreplace", refuse)
    with pytest.raises(OSError, match="No space"):
        side.dock(folder)
    side.close()
    again = Dockside(tmp_path / "station")
    assert again.states() == {"seen": 2}
    monkeypatch.undo()
    assert again.dock(folder)[0]
    assert again.stored_digests() == media(folder)
    again.close()
