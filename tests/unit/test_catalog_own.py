"""A content of one recorder and a name in the store are one clip's own, but for what stepped aside."""

import contextlib
import sqlite3
from pathlib import Path

import pytest

from agent.catalog import Catalog, door, intake, migrate
from agent.model import TRANSITIONS, ClipState, Identity, Manifest, SourceClip

S = ClipState
WHO = Identity("8888888", True, "AAAA-BBBB")
OTHERS = {S.MERGED, S.QUARANTINED}

#: As migration 15 left it.
BEFORE = """
DROP TRIGGER clips_step_aside; DROP TRIGGER clips_begin_as_their_state_says;
DROP TRIGGER clips_are_as_their_state_says; DROP INDEX clips_one_content; DROP INDEX clips_one_key;
ALTER TABLE clips DROP COLUMN own;
CREATE UNIQUE INDEX clips_one_content ON clips (recorder, sha256)
    WHERE sha256 IS NOT NULL AND size > 0 AND partial = 0 AND state NOT IN ('merged', 'quarantined');
CREATE UNIQUE INDEX clips_one_key ON clips (key)
    WHERE key IS NOT NULL AND state NOT IN ('merged', 'quarantined');
DELETE FROM migrations WHERE number > 15; PRAGMA user_version = 15; ANALYZE;
"""


def see(catalog: Catalog, number: int) -> int:
    docking = catalog.write(lambda tx: intake.begin_docking(tx, "A1", WHO))
    source = SourceClip(f"DCIM/8888888_000000_20260101120000_{number:04}.mp4", 100, 5)
    return catalog.write(lambda tx: intake.see(tx, docking, WHO, [source]))[0]


def ways() -> dict[ClipState, list[ClipState]]:
    """From `seen` to every state, by the shortest way."""
    found: dict[ClipState, list[ClipState]] = {S.SEEN: []}
    queue = [S.SEEN]
    for here in queue:
        for there in TRANSITIONS[here]:
            if there not in found:
                found[there] = [*found[here], there]
                queue.append(there)
    return found


def move(catalog: Catalog, clip: int, old: ClipState, new: ClipState) -> None:
    catalog.write(lambda tx: door.change(tx, clip, old, new))


def walk(catalog: Catalog, clip: int, way: list[ClipState], here: ClipState = S.SEEN) -> None:
    for there in way:
        move(catalog, clip, here, there)
        here = there


def told(db: sqlite3.Connection) -> list[tuple[int, str, int]]:
    return [tuple(row) for row in db.execute("SELECT id, state, own FROM clips ORDER BY id")]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A catalog with a clip in each state; of the agent that brought migration 16."""
    known = [step for step in migrate.steps() if step[0] <= 16]
    monkeypatch.setattr(migrate, "steps", lambda: known)
    path = tmp_path / "catalog.db"
    with contextlib.closing(Catalog.open(path)) as catalog:
        for number, way in enumerate(ways().values()):
            walk(catalog, see(catalog, number), way)
    return path


def test_the_state_tells_what_is_its_own(path: Path) -> None:
    with contextlib.closing(Catalog.open(path)) as catalog:
        found = told(catalog.read())
    assert {state for _, state, _ in found} == set(S)
    assert all(own == (state not in OTHERS) for _, state, own in found)


def test_a_catalog_from_before_is_taken_over(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as raw:
        before = told(raw)
        raw.executescript(BEFORE)
    with contextlib.closing(Catalog.open(path)) as catalog:
        assert told(catalog.read()) == before


@pytest.mark.parametrize("aside", sorted(OTHERS))
def test_what_stepped_aside_may_be_copied_again_and_comes_back_only_while_it_is_alone(
    tmp_path: Path, aside: ClipState
) -> None:
    """The content of a clip that was quarantined lies here again: it cannot be stored a second time."""
    manifest = Manifest(100, 8 << 20, (bytes(32),), "11" * 32)
    with contextlib.closing(Catalog.open(tmp_path / "catalog.db")) as catalog:
        first, second = see(catalog, 1), see(catalog, 2)
        for clip in (first, second):
            walk(catalog, clip, [S.COPYING])
        catalog.write(lambda tx: intake.describe(tx, first, manifest, "8888888/1.mp4", bytes(32)))
        with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
            catalog.write(lambda tx: _same(tx, first, second))
        walk(catalog, first, ways()[aside][1:], S.COPYING)
        catalog.write(lambda tx: _same(tx, first, second))
        if aside is S.QUARANTINED:
            with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
                catalog.write(lambda tx: door.found(tx, first, S.QUARANTINED))
            assert (first, "quarantined", 0) in told(catalog.read())


def _same(tx: sqlite3.Connection, first: int, second: int) -> None:
    """Another one that says it has what `first` has."""
    tx.execute(
        "UPDATE clips SET (key, sha256) = (SELECT key, sha256 FROM clips WHERE id = ?) WHERE id = ?",
        (first, second),
    )


def test_no_question_is_answered_by_averages(path: Path) -> None:
    """Few clips are in most states: by what ANALYZE counts, each question for them would look at all."""
    with contextlib.closing(sqlite3.connect(path)) as raw:
        raw.executescript(BEFORE)
    for _ in range(2):
        with contextlib.closing(Catalog.open(path)) as catalog:
            assert (
                not catalog.read()
                .execute("SELECT name FROM sqlite_master WHERE name LIKE 'sqlite_stat%'")
                .fetchall()
            )
