"""What a docking asks of the catalog costs the same, however much its recorder has brought before;
and so does telling the centre of it."""

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from agent.catalog import deliveries, intake, queries, released, story
from agent.model import ClipState, Identity, Manifest, SourceClip
from scripts.benchmarks.million import build

GRAIN = 50  # instructions of SQLite's machine between two counts
NEW = 20  # clips
RECORDER = Identity("0000000", True, "0000-BE7C")  # the one of all clips in these catalogs


def test_a_docking_costs_the_catalog_the_same_after_a_hundred_clips_and_after_thousands(
    tmp_path: Path,
) -> None:
    few, many = (_instructions(tmp_path / str(past), past, _dock) for past in (200, 4_000))
    assert few > 0
    assert many < 1.5 * few


def test_telling_the_centre_costs_the_same_after_a_hundred_clips_and_after_thousands(tmp_path: Path) -> None:
    few, many = (_instructions(tmp_path / str(past), past, _tell) for past in (200, 4_000))
    assert few > 0
    assert many < 1.5 * few


def _instructions(path: Path, past: int, work: Callable[[sqlite3.Connection], None]) -> int:
    build(path, past, recorders=1)
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.set_progress_handler(count, GRAIN)
        work(db)
        db.set_progress_handler(None, 0)
        db.execute("COMMIT")
    return counted * GRAIN


def _dock(db: sqlite3.Connection) -> None:
    """Everything that a start and a docking of new clips ask and write."""
    for state in (ClipState.SEEN, ClipState.COPYING, ClipState.MISSING, ClipState.QUARANTINED):
        assert queries.in_state(db, state) == []
    intake.close_interrupted(db)
    docking = intake.begin_docking(db, "A1", RECORDER)
    sources = [SourceClip(f"DCIM/200MEDIA/{number}.mp4", 1 << 20, number) for number in range(NEW)]
    assert not any(intake.known(db, RECORDER, source) for source in sources)
    assert intake.still_recording(db, RECORDER) == {}
    clips = intake.see(db, docking, RECORDER, sources)
    assert intake.mark_missing(db, RECORDER, docking, set(clips)) == 0
    intake.start(db, clips, docking)
    for clip in clips:
        digest = hashlib.sha256(b"%d" % clip)
        manifest = Manifest(1 << 20, 8 << 20, (digest.digest(),), digest.hexdigest())
        assert intake.describe(db, clip, manifest, f"0000000/{clip}.mp4", bytes(32)) is None
    intake.store(db, clips)
    assert intake.uncollected(db, clips) == 0
    intake.end_docking(db, docking, "collected")
    assert queries.counts(db)[ClipState.STORED] == NEW
    assert deliveries.queue(db)[0] == NEW


def _tell(db: sqlite3.Connection) -> None:
    """What is asked for a turn in which one docking is told."""
    first = int(db.execute("SELECT max(seq) FROM events").fetchone()[0]) + 1
    docking = intake.begin_docking(db, "A1", RECORDER)
    intake.see(db, docking, RECORDER, [SourceClip("DCIM/200MEDIA/1.mp4", 1 << 20, 1)])
    data, following = story.segment(db, first)
    assert story.retold(db, first, data) == following
    [(touched, day)] = story.dockings_touched(db, first, following).items()
    assert touched == docking
    assert list(story.clips_of(db, docking)) == []
    assert story.dockings_of(db, day).count(b"\n") == 1
    assert released.counted(db) == {}
    assert released.lost(db, "centre") == []
