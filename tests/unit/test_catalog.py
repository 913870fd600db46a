"""The catalog keeps its promises: one door, one writer, no change without its event."""

import contextlib
import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog import Catalog, door, intake, migrate, queries
from agent.errors import CatalogError, WrongState
from agent.model import TRANSITIONS, ClipState, Identity, SourceClip

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
        " seen_at, kind, important, assigned, officer, sequence, recorded_at, time_source, name_parsed, partial, key,"
        " sha256, merged_into, stored_at FROM clips",
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
    good = (2, "more", "CREATE TABLE more (x INTEGER) STRICT;")
    bad = (3, "broken", "CREATE TABLE half (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1);")
    known = migrate.steps()
    monkeypatch.setattr(migrate, "steps", lambda: [*known, good, bad])
    with pytest.raises(CatalogError) as caught:
        Catalog.open(path)
    assert caught.value.key == "catalog-migration"
    with contextlib.closing(sqlite3.connect(path)) as raw:
        tables = {row[0] for row in raw.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert "more" in tables
        assert "half" not in tables
        assert [row[0] for row in raw.execute("SELECT number FROM migrations")] == [1, 2]
    with contextlib.closing(sqlite3.connect(path.with_name("catalog.db.before-2"))) as copy:
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
