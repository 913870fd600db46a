"""The catalog keeps its promises: one door, one writer, no change without its event."""

import contextlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog import Catalog, door, intake, migrate, queries
from agent.errors import CatalogError, WrongState
from agent.model import TRANSITIONS, ClipState, Identity, SourceClip
from tests.here import require

S = ClipState
WHO = Identity("8888888", True, "AAAA-BBBB")
SOURCE = SourceClip("DCIM/8888888_000000_20260101120000_0001.mp4", 100, 5)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path / "catalog.db")
    yield opened
    opened.close()


def begin(catalog: Catalog, source: SourceClip = SOURCE) -> int:
    docking = catalog.write(lambda tx: intake.begin_docking(tx, "A1", WHO))
    return catalog.write(lambda tx: intake.see(tx, docking, WHO, [source]))[0]


def state_of(catalog: Catalog, clip: int) -> str:
    return str(catalog.read().execute("SELECT state FROM clips WHERE id = ?", (clip,)).fetchone()[0])


def move(catalog: Catalog, clip: int, old: ClipState, new: ClipState) -> None:
    catalog.write(lambda tx: door.change(tx, clip, old, new))


def walk_to(catalog: Catalog, clip: int, goal: ClipState) -> None:
    """Move a fresh clip to `goal` by the shortest legal way."""
    ways: dict[ClipState, list[ClipState]] = {S.SEEN: []}
    queue = [S.SEEN]
    while queue:
        here = queue.pop(0)
        for there in TRANSITIONS[here]:
            if there not in ways:
                ways[there] = [*ways[here], there]
                queue.append(there)
    here = S.SEEN
    for there in ways[goal]:
        move(catalog, clip, here, there)
        here = there


@pytest.mark.parametrize("old", list(S))
@pytest.mark.parametrize("new", list(S))
def test_only_the_moves_of_the_table_are_possible(catalog: Catalog, old: ClipState, new: ClipState) -> None:
    clip = begin(catalog)
    walk_to(catalog, clip, old)
    if new in TRANSITIONS[old]:
        catalog.write(lambda tx: door.change(tx, clip, old, new))
        assert state_of(catalog, clip) == new
    else:
        with pytest.raises(WrongState):
            catalog.write(lambda tx: door.change(tx, clip, old, new))
        assert state_of(catalog, clip) == old


@given(moves=st.lists(st.tuples(st.sampled_from(list(S)), st.sampled_from(list(S))), max_size=25))
def test_whatever_is_tried_the_events_tell_the_whole_story(
    tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[ClipState, ClipState]]
) -> None:
    opened = Catalog.open(tmp_path_factory.mktemp("c") / "catalog.db")
    with contextlib.closing(opened) as catalog:
        clip = begin(catalog)
        expected = [S.SEEN]
        for old, new in moves:
            if old == expected[-1] and new in TRANSITIONS[old]:
                move(catalog, clip, old, new)
                expected.append(new)
            else:
                with pytest.raises(WrongState):
                    move(catalog, clip, old, new)
        rows = catalog.read().execute("SELECT body FROM events WHERE clip = ? ORDER BY seq", (clip,))
        assert [json.loads(row[0])["to"] for row in rows] == expected
        assert state_of(catalog, clip) == expected[-1]
        counted = {state: n for state, n in queries.counts(catalog.read()).items() if n}
        assert counted == {expected[-1]: 1}


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE clips SET state = 'confirmed'",
        "UPDATE clips SET state = 'stored', event = event + 1",
        "UPDATE clips SET event = event - 1",
        "UPDATE clips SET id = 99",
        "DELETE FROM clips",
        "INSERT OR REPLACE INTO clips SELECT * FROM clips",
        "INSERT INTO clips SELECT 99, 'stored', event, recorder, fs_id, path, size, mtime_ns, docking,"
        " seen_at, kind, important, assigned, officer, sequence, recorded_at, time_source, name_parsed,"
        " partial, key, sha256, merged_into, stored_at, urgency, own FROM clips",
        "UPDATE clips SET own = 0",
        "UPDATE events SET body = '{}'",
        "DELETE FROM events",
        "INSERT OR REPLACE INTO events SELECT * FROM events",
    ],
)
def test_a_raw_connection_cannot_change_a_clip_or_its_story(tmp_path: Path, attack: str) -> None:
    with contextlib.closing(Catalog.open(tmp_path / "catalog.db")) as catalog:
        clip = begin(catalog)
        catalog.write(lambda tx: door.change(tx, clip, S.SEEN, S.COPYING))
    with contextlib.closing(sqlite3.connect(tmp_path / "catalog.db")) as raw:
        before = [*raw.execute("SELECT * FROM clips"), *raw.execute("SELECT * FROM events")]
        with pytest.raises(sqlite3.IntegrityError):
            raw.execute(attack)
        raw.commit()
        assert [*raw.execute("SELECT * FROM clips"), *raw.execute("SELECT * FROM events")] == before


def test_an_old_event_cannot_be_used_a_second_time(catalog: Catalog) -> None:
    clip = begin(catalog)
    catalog.write(lambda tx: door.change(tx, clip, S.SEEN, S.COPYING))
    catalog.write(lambda tx: door.change(tx, clip, S.COPYING, S.SEEN))
    first_copying = clip + 1

    def replay(tx: sqlite3.Connection) -> None:
        tx.execute("UPDATE clips SET state = 'copying', event = ? WHERE id = ?", (first_copying, clip))

    with pytest.raises(sqlite3.IntegrityError, match="event of its own"):
        catalog.write(replay)


def test_a_write_that_fails_takes_nothing_of_the_others_with_it(catalog: Catalog) -> None:
    barrier = threading.Barrier(20)
    outcomes: dict[int, str] = {}

    def one(number: int) -> None:
        def work(tx: sqlite3.Connection) -> None:
            door.note(tx, "test", None, {"number": number})
            if number % 2:
                raise ValueError(number)

        barrier.wait()
        try:
            catalog.write(work)
            outcomes[number] = "kept"
        except ValueError:
            outcomes[number] = "undone"

    threads = [threading.Thread(target=one, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rows = catalog.read().execute("SELECT json_extract(body, '$.number') FROM events WHERE kind = 'test'")
    assert sorted(row[0] for row in rows) == list(range(0, 20, 2))
    assert {number for number, outcome in outcomes.items() if outcome == "kept"} == set(range(0, 20, 2))


def test_an_unclean_stop_is_noticed_and_a_clean_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    first = Catalog.open(path)
    assert not first.unclean
    second = Catalog.open(path)  # as after a kill: the first one never closed
    assert second.unclean
    second.close()
    first.close()
    third = Catalog.open(path)
    assert not third.unclean
    assert third.quick_check() == []
    third.close()


def test_an_older_agent_refuses_a_newer_catalog(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    Catalog.open(path).close()
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA user_version = 999")
    before = path.read_bytes()
    with pytest.raises(CatalogError) as caught:
        Catalog.open(path)
    assert caught.value.key == "catalog-newer"
    assert path.read_bytes() == before


def test_a_file_that_is_no_catalog_is_said_to_be_damaged(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    path.write_bytes(b"not a database at all" * 500)
    with pytest.raises(CatalogError) as caught:
        Catalog.open(path)
    assert caught.value.key == "catalog-damaged"


def test_a_migration_leaves_a_copy_behind_and_happens_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "catalog.db"
    with contextlib.closing(Catalog.open(path)) as catalog:
        clip = begin(catalog)
    known = migrate.steps()
    last = known[-1][0]
    good = (last + 1, "more", "CREATE TABLE more (x INTEGER) STRICT;")
    bad = (last + 2, "broken", "CREATE TABLE half (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);")
    monkeypatch.setattr(migrate, "steps", lambda: [*known, good, bad])
    with pytest.raises(CatalogError) as caught:
        Catalog.open(path)
    assert caught.value.key == "catalog-migration"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert "more" in tables
        assert "half" not in tables
        recorded = [row[0] for row in raw.execute("SELECT number FROM migrations")]
        assert recorded == [*(number for number, _, _ in known), last + 1]
    with contextlib.closing(sqlite3.connect(path.with_name(f"catalog.db.before-{last + 1}"))) as copy:
        assert copy.execute("SELECT id FROM clips").fetchall() == [(clip,)]


def test_a_hostile_name_is_kept_raw_and_shown_harmless(catalog: Catalog) -> None:
    name = "DCIM/a\nb\u202e" + "\udcff" + ".mp4"
    clip = begin(catalog, SourceClip(name, 1, 1))
    row = catalog.read().execute("SELECT path FROM clips WHERE id = ?", (clip,)).fetchone()
    assert row[0] == b"DCIM/a\nb\xe2\x80\xae\xff.mp4"
    listed = queries.clips(catalog.read())[0]
    assert listed["path"].isprintable()
    assert json.loads(json.dumps(listed))["path_base64"]


def test_what_is_seen_and_then_gone_is_missing_and_may_come_back(catalog: Catalog) -> None:
    clip = begin(catalog)
    assert catalog.write(lambda tx: intake.mark_missing(tx, WHO, 1, set())) == 1
    assert state_of(catalog, clip) == S.MISSING
    catalog.write(lambda tx: intake.see_again(tx, clip, S.MISSING, 1))
    assert state_of(catalog, clip) == S.SEEN
    other_card = Identity("8888888", True, "CCCC-DDDD")
    assert catalog.write(lambda tx: intake.mark_missing(tx, other_card, 1, set())) == 0


def put(key: str, verb: str = "INSERT") -> Callable[[sqlite3.Connection], object]:
    return lambda tx: tx.execute(f"{verb} INTO meta VALUES (?, '')", (key,))


def in_one_group(
    catalog: Catalog, works: dict[str, Callable[[sqlite3.Connection], object]]
) -> dict[str, BaseException | None]:
    """What each write was told; they share one commit, in this order."""
    outcomes: dict[str, BaseException | None] = {}
    gate, held = threading.Event(), threading.Event()

    def write(name: str, work: Callable[[sqlite3.Connection], object]) -> None:
        try:
            catalog.write(work)
            outcomes[name] = None
        except Exception as error:  # noqa: BLE001 - what it was told is the matter
            outcomes[name] = error

    def hold(_: sqlite3.Connection) -> None:
        held.set()
        gate.wait(60)

    threads = [threading.Thread(target=write, args=("", hold))]
    threads[0].start()
    assert held.wait(60)
    for name, work in works.items():
        before = catalog._queue.qsize()
        threads.append(threading.Thread(target=write, args=(name, work)))
        threads[-1].start()
        while catalog._queue.qsize() == before:
            time.sleep(0.001)
    gate.set()
    for thread in threads:
        thread.join(60)
    del outcomes[""]
    return outcomes


def test_what_a_write_was_told_is_what_happened_when_sqlite_undoes_the_whole_group(catalog: Catalog) -> None:
    """As it does by itself on a full disk and on an I/O error."""
    catalog.write(put("twice"))
    told = in_one_group(
        catalog, {"a": put("a"), "twice": put("twice", "INSERT OR ROLLBACK"), "c": put("c"), "d": put("d")}
    )
    assert {name: getattr(error, "key", error) for name, error in told.items()} == dict.fromkeys(
        ("a", "twice", "c", "d"), "catalog-write"
    )
    there = {row[0] for row in catalog.read().execute("SELECT key FROM meta")}
    assert there == {"running", "twice"}
    catalog.write(put("later"))


def test_a_writer_that_ends_leaves_nobody_waiting_and_is_not_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda args: ended.append(args.thread.name))
    catalog = Catalog.open(tmp_path / "catalog.db")
    told = in_one_group(catalog, {"a": put("a"), "closes": lambda tx: tx.close(), "c": put("c")})
    assert {getattr(error, "key", error) for error in told.values()} == {"catalog-write"}
    catalog._thread.join(60)
    assert ended == ["catalog"]
    with pytest.raises(CatalogError):
        catalog.write(put("later"))
    catalog.close()
    with contextlib.closing(Catalog.open(tmp_path / "catalog.db")) as again:
        assert again.unclean
        assert {row[0] for row in again.read().execute("SELECT key FROM meta")} == {
            "running",
            "unsafe-shutdowns",
        }


def test_a_write_that_meets_the_close_is_told_so_and_does_not_wait(tmp_path: Path) -> None:
    for turn in range(20):
        catalog = Catalog.open(tmp_path / f"{turn}.db")
        refused = threading.Event()

        def write(catalog: Catalog = catalog, refused: threading.Event = refused) -> None:
            try:
                while True:
                    catalog.write(lambda tx: None)
            except CatalogError:
                refused.set()

        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        catalog.close()
        for thread in threads:
            thread.join(60)
            assert not thread.is_alive()


def key_at_open(path: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        Catalog.open(path).close()
    return caught.value.key


def test_a_locked_catalog_is_not_said_to_be_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "catalog.db"
    Catalog.open(path).close()
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0.01}))
    with contextlib.closing(connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert key_at_open(path) == "catalog-busy"
    Catalog.open(path).close()


def test_a_catalog_that_is_no_file_is_not_said_to_be_damaged(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").mkdir()
    assert key_at_open(tmp_path / "catalog.db") == "catalog-unreadable"
    (tmp_path / "file").touch()
    assert key_at_open(tmp_path / "file/catalog.db") == "catalog-unreadable"


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    require("tmpfs")
    disk = tmp_path / "disk"
    disk.mkdir()
    run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk], check=True)
    yield disk
    run(["umount", disk], check=True)


@pytest.mark.parametrize("new", [True, False])
def test_a_full_disk_at_the_start_is_not_a_damaged_catalog(small: Path, new: bool) -> None:
    path = small / "catalog.db"
    if not new:
        Catalog.open(path).close()
    with (small / "filler").open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(4096))
    assert key_at_open(path) == "catalog-disk-full"
    (small / "filler").unlink()
    with contextlib.closing(Catalog.open(path)) as catalog:
        begin(catalog)


def test_a_read_only_disk_is_not_a_damaged_catalog(small: Path) -> None:
    path = small / "catalog.db"
    Catalog.open(path).close()
    run(["mount", "-o", "remount,ro", small], check=True)
    assert key_at_open(path) == "catalog-read-only"
    assert key_at_open(small / "new/catalog.db") == "catalog-read-only"


def test_each_end_without_a_close_is_counted_once_and_the_count_stays(tmp_path: Path) -> None:
    path, left = tmp_path / "catalog.db", list[Catalog]()
    for expected in (0, 1, 2):
        left.append(Catalog.open(path))  # and nobody closes it, as after a kill
        assert left[-1].unsafe_shutdowns == expected
    with contextlib.closing(Catalog.open(path)) as last:
        assert (last.unclean, last.unsafe_shutdowns) == (True, 3)
    for _ in range(2):
        with contextlib.closing(Catalog.open(path)) as clean:
            assert (clean.unclean, clean.unsafe_shutdowns) == (False, 3)
