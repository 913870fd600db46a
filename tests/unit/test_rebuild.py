"""What a rebuild believes: nothing but bytes that it has read, and sidecars that are sound."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, retained
from agent.catalog.progress import Progress
from agent.catalog.rebuild import Rebuilt, rebuild
from agent.catalog.sidecar import LARGEST
from agent.cli import catalog as command
from agent.clock import Stamp
from agent.custody.rebuild import rebuild_store
from agent.model import part_size_for
from tests.custody_house import STATION
from tests.dockside import Dockside, digest, media, recorder

NAME = "DCIM/8888888_000001_2026010112{0:02}00_{0:04}.mp4"
PART = part_size_for(0)


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    made = Dockside(tmp_path / "station")
    yield made
    made.close()


def name(number: int) -> str:
    return NAME.format(number)


def rebuilt(side: Dockside) -> tuple[Rebuilt, Dockside]:
    """The catalog is lost, and made anew; the station after that."""
    side.close()
    shutil.rmtree(side.catalog.path.parent)
    result = rebuild_store(side.store.root, STATION).clips
    return result, Dockside(side.store.root.parent)


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def told(side: Dockside) -> dict[str, tuple[Any, ...]]:
    columns = ("sha256", "path", "recorded_at", "size", "kind", "important", "partial", "officer", "seen_at")
    return {row["key"]: tuple(row[column] for column in columns) for row in side.rows()}


def test_a_lost_catalog_is_rebuilt_from_the_store(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 2 * PART + 1, name(2): 1000, name(3): b"", "n.json": b"{}"})
    side.dock(folder)
    before = told(side)
    result, again = rebuilt(side)
    assert (result.clips, result.faults) == (4, [])
    assert told(again) == before
    assert again.states() == {"stored": 4}
    complete, heard = again.dock(folder)
    assert complete
    assert heard.total == (0, 0)
    again.close()


def test_what_is_known_of_the_bytes_of_a_clip_comes_back_with_it(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station", sm3=True)
    files = {name(1): 2 * PART + 1, "bad.mp4": 10 << 16}
    side.dock(recorder(tmp_path / "rec", files, "files: {bad.mp4: rrEErrrrrr}\n"))
    question = "SELECT key, part_size, parts, sm3, unreadable FROM manifests JOIN clips ON id = clip"
    before = {tuple(row) for row in side.catalog.read().execute(question)}
    assert {bool(row[3]) for row in before} == {True}
    assert {row[4] for row in before} > {"[]"}
    _, again = rebuilt(side)
    assert {tuple(row) for row in again.catalog.read().execute(question)} == before
    again.close()


@pytest.mark.parametrize("trusted", [True, False])
def test_the_period_of_a_clip_counts_from_its_docking_after_a_rebuild_too(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trusted: bool
) -> None:
    docked, later = 1_790_000_000.0, 1_790_000_000.0 + 90 * 86400
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(docked, "", trusted=trusted))
    side.dock(recorder(tmp_path / "rec", {name(1): 1000}))
    monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(later, "", trusted=True))
    _, again = rebuilt(side)
    [row] = again.rows()
    db = again.catalog.read()
    kept = retained.one(db, row["id"])
    assert kept
    assert retained.began(db, kept._replace(recorded_at=None), later + 1).at == (docked if trusted else later)
    again.close()


def test_a_clip_comes_back_with_all_its_names(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(1): b"x" * 999, name(2): b"x" * 999})
    side.dock(folder)
    result, again = rebuilt(side)
    assert (result.clips, result.faults) == (1, [])
    complete, heard = again.dock(folder)
    assert complete
    assert heard.total == (0, 0)
    again.close()


def test_a_rebuild_tells_what_it_cannot_use(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(n): 1000 + n for n in range(5)})
    side.dock(folder)
    keys = sorted(row["key"] for row in side.rows())
    side.store.path(keys[0]).unlink()
    os.truncate(side.store.path(keys[1]), 5)
    side.store.sidecar(keys[2]).write_text("{")
    side.store.sidecar(keys[3]).unlink()
    result, again = rebuilt(side)
    assert result.clips == 1
    for key, fault in zip(keys[:4], sorted(result.faults), strict=True):
        assert fault.startswith(key)
    assert again.dock(folder)[0]
    assert again.stored_digests() >= media(folder)
    again.close()


@pytest.mark.parametrize("at", [0, PART, 2 * PART])
def test_a_rebuilt_clip_is_not_called_stored_before_every_byte_was_read(
    side: Dockside, tmp_path: Path, at: int
) -> None:
    side.dock(recorder(tmp_path / "rec", {name(1): 2 * PART + 1}))
    flip(side.store.path(side.rows()[0]["key"]), at)
    result, again = rebuilt(side)
    assert again.states() == {}
    assert len(result.faults) == 1
    assert f"part {at // PART} " in result.faults[0]
    again.close()


def copied_twice(side: Dockside, tmp_path: Path) -> Path:
    """One content under two names in the store: as after a catalog was lost and begun anew."""
    folder = recorder(tmp_path / "rec", {name(1): 5000})
    side.dock(folder)
    side.close()
    shutil.rmtree(side.catalog.path.parent)
    (folder / name(1)).rename(folder / name(2))
    again = Dockside(side.store.root.parent)
    assert again.dock(folder)[0]
    again.close()
    assert len(list(side.store.clips.rglob("*.mp4"))) == 2
    return folder


@pytest.mark.parametrize("rotten", [0, 1])
def test_a_rotten_copy_never_shadows_a_good_one(side: Dockside, tmp_path: Path, rotten: int) -> None:
    folder = copied_twice(side, tmp_path)
    flip(sorted(side.store.clips.rglob("*.mp4"))[rotten], 7)
    result, again = rebuilt(side)
    assert (result.clips, len(result.faults)) == (1, 1)
    assert again.stored_digests() == media(folder)
    again.close()


def test_of_two_good_copies_one_comes_back_and_the_other_is_told(side: Dockside, tmp_path: Path) -> None:
    folder = copied_twice(side, tmp_path)
    first, second = sorted(path.name for path in side.store.clips.rglob("*.mp4"))
    result, again = rebuilt(side)
    assert result.clips == 1
    (fault,) = result.faults
    assert second in fault.partition(":")[0]
    assert first in fault.partition(":")[2]
    assert again.stored_digests() == media(folder)
    again.close()


def test_a_json_file_of_the_recorder_is_a_clip_and_never_a_sidecar(side: Dockside, tmp_path: Path) -> None:
    files: dict[str, bytes | int] = {
        "deep.json": b"[" * 200_000,
        "large.json": LARGEST + 1,
        "like.json": b'{"format": 1, "parts": [], "key": "../../x", "names": 7, "size": -1}',
        "a.json.json": b"{}",
        name(1): 5000,
    }
    folder = recorder(tmp_path / "rec", files)
    assert side.dock(folder)[0]
    result, again = rebuilt(side)
    assert (result.clips, result.faults) == (5, [])
    assert again.stored_digests() == media(folder)
    again.close()


def edited(**changes: Any) -> Callable[[Path], object]:
    def edit(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_bytes()), **changes}))

    return edit


def without(name: str) -> Callable[[Path], object]:
    def edit(path: Path) -> None:
        document = json.loads(path.read_bytes())
        del document[name]
        path.write_text(json.dumps(document))

    return edit


def another(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def edit(path: Path) -> None:
        path.unlink()
        make(path)

    return edit


LIES: dict[str, Callable[[Path], object]] = {
    "deep": lambda path: path.write_bytes(b"[" * 200_000),
    "deep inside": lambda path: path.write_bytes(b'{"names":' * 100_000),
    "large": lambda path: os.truncate(path, LARGEST + 1),
    "empty": lambda path: path.write_bytes(b""),
    "no UTF-8": lambda path: path.write_bytes(b'{"key": "\xff"}'),
    "no object": lambda path: path.write_bytes(b"[]"),
    "later format": edited(format=2),
    "text for a number": edited(mtime_ns="1"),
    "number too large": edited(mtime_ns=1 << 63),
    "negative size": edited(size=-1),
    "no part size": edited(part_size=0),
    "too many parts": edited(parts=["00" * 32] * 2),
    "no hex": edited(sha256="x" * 64),
    "another digest": edited(sha256="00" * 32),
    "another national digest": edited(sm3="00" * 32),
    "no number": edited(seen_at=float("nan")),
    "no time": edited(recorded_at="yesterday"),
    "no flag": edited(important="yes"),
    "half a character": edited(officer="\ud800"),
    "no base64": edited(path_base64="*"),
    "names that are none": edited(names=[{"recorder": 1}]),
    "ranges outside": edited(unreadable=[[0, 1 << 40]]),
    "another clip's": edited(key="other/2026-01-01/x.mp4"),
    "a way out": edited(key="../../x"),
    "no docking": without("docking"),
    "a folder": another(lambda path: path.mkdir()),
    "a pipe": another(lambda path: os.mkfifo(path)),
    "a link": another(lambda path: path.symlink_to("/dev/zero")),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_sidecar_that_is_not_sound_is_told_and_takes_nothing_with_it(
    side: Dockside, tmp_path: Path, lie: str
) -> None:
    side.dock(recorder(tmp_path / "rec", {name(1): 5000, name(2): 6000}))
    first, second = sorted(row["key"] for row in side.rows())
    LIES[lie](side.store.sidecar(first))
    with contextlib.closing(Catalog.open(tmp_path / "new/catalog.db")) as catalog:
        result = rebuild(catalog, side.store.clips)
        keys = [row[0] for row in catalog.read().execute("SELECT key FROM clips")]
        events = catalog.read().execute("SELECT count(*) FROM events").fetchone()[0]
    assert (result.clips, keys, events) == (1, [second], 2)  # of its docking, and its own
    (fault,) = result.faults
    assert fault.startswith(first)
    assert fault.isprintable()


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_file_is_not_waited_for(
    side: Dockside, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    side.dock(recorder(tmp_path / "rec", {name(1): 5000}))
    path = side.store.path(side.rows()[0]["key"])
    path.unlink()
    make(path)
    result, again = rebuilt(side)
    assert (result.clips, len(result.faults)) == (0, 1)
    again.close()


def test_progress_is_told_while_a_large_clip_is_read(side: Dockside, tmp_path: Path) -> None:
    side.dock(recorder(tmp_path / "rec", {name(1): 3000, name(2): PART}))
    heard: list[tuple[int, int]] = []

    class Heard(Progress):
        def clips(self, done: int, read: int) -> None:
            heard.append((done, read))

    side.close()
    rebuild_store(side.store.root, STATION, Heard())
    assert heard[0] == (0, 3000)
    assert len(heard) > 3
    assert heard[-1] == (1, 3000 + PART)


def test_dockings_are_told_apart_as_they_were(side: Dockside, tmp_path: Path) -> None:
    for slot, number in (("A1", 1), ("B2", 2), ("B2", 3)):
        folder = recorder(tmp_path / f"rec{number}", {name(number): 5000, name(number + 10): 6000})
        side.dock(folder, slot=slot)
    question = "SELECT key, slot, started FROM clips JOIN dockings ON dockings.id = docking"
    before = {tuple(row) for row in side.catalog.read().execute(question)}
    _, again = rebuilt(side)
    assert {tuple(row) for row in again.catalog.read().execute(question)} == before
    assert again.catalog.read().execute("SELECT count(*) FROM dockings").fetchone()[0] == 3
    assert {digest(again.store.path(row["key"])) for row in again.rows()} == again.stored_digests()
    again.close()


def test_the_command_tells_how_far_it_is(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "_EVERY", 0.0)
    command._Progress().clips(3, 5 << 30)
    command._Progress().events(256, 1000)
    command._Progress().lives(9, 10)
    assert capsys.readouterr().err.splitlines() == [
        "3 clips verified, 5.0 GiB read",
        "256 of 1000 events read",
        "the clips of 9 of 10 events restored",
    ]
