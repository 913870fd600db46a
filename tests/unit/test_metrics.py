"""Figures that are true, that nobody waits for, and that cost the same with a million clips."""

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, backlog, events, findings, rot
from agent.catalog.backlog import Amount, Moved
from agent.catalog.home import catalog_path
from agent.model import Problem
from agent.status.metrics import Measured, exposition
from scripts.benchmarks.million import build, let_all_wait
from tests.scraping import Scrape, parsed
from tests.unit.test_status import sources
from tests.uploading import Station, content
from tests.web.station import measured


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path / "catalog.db")
    yield opened
    opened.close()


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


def told(asked: Measured, **changes: Any) -> Scrape:
    body, _ = exposition(sources(**changes), asked)("")
    return parsed(body.decode())


def test_what_nobody_knows_has_no_sample(catalog: Catalog) -> None:
    unknown: dict[str, Any] = dict.fromkeys(
        ("waiting", "overdue", "late_today", "clock_offset", "log", "unsafe_shutdowns"), lambda: None
    )
    found = told(measured(catalog, **unknown, targets=lambda: {"centre": (False, None, None)}))
    for name in (
        "oldest_unconfirmed_clip_age_seconds", "clips_overdue", "clips_handed_in_late",
        "disk_full_in_seconds",
        "clock_offset_seconds", "log_entries", "log_unsigned_entries", "log_bytes", "unsafe_shutdowns_total",
        "target_answer_seconds", "target_answer_age_seconds",
    ):  # fmt: skip
        assert not found.known(name), name
    assert found.value("target_up", target="centre") == 0


def test_a_disk_that_is_not_full_for_months_has_all_the_time_there_is(catalog: Catalog) -> None:
    assert told(measured(catalog), filling=lambda: (1, None)).value("disk_full_in_seconds") == float("inf")
    assert told(measured(catalog), filling=lambda: (1, 2)).value("disk_full_in_seconds") == 2 * 86400


def test_what_fails_is_told_once_and_hides_nothing_else(
    catalog: Catalog, caplog: pytest.LogCaptureFixture
) -> None:
    broken = [True]

    def disk() -> tuple[int, int, int]:
        if broken[0]:
            raise OSError("gone")
        return 3, 2, 1

    expose = exposition(sources(disk=disk), measured(catalog))
    for _ in range(2):
        found = parsed(expose("")[0].decode())
    assert found.value("unmeasured", group="disk") == 1
    assert found.value("unmeasured", group="clips") == 0
    assert found.value("clips", state="stored") == 0
    assert "recorder_station_disk_free_bytes" not in found.samples
    assert caplog.text.count("disk cannot be measured") == 1
    broken[0] = False
    found = parsed(expose("")[0].decode())
    assert found.value("unmeasured", group="disk") == 0
    assert found.value("disk_free_bytes") == 3


def test_names_of_workers_and_targets_may_be_anything(catalog: Catalog) -> None:
    beats = [(name, 1.0, 2.0) for name in ('slot "\\', "slot \udcff", "slot \u202e", "slot a\nb")]
    found = told(measured(catalog, beats=lambda: beats))
    assert len(found.samples["recorder_station_worker_idle_seconds"]) == len(beats)


def test_what_is_collected_uploaded_and_confirmed_is_counted_once(station: Station) -> None:
    station.store("before.mp4", content(100))
    moved = Moved(events.last(station.catalog.read()))
    assert moved.look(station.catalog.read())["stored"] == Amount(0, 0)
    station.store("a.mp4", content(1000))
    station.store("b.mp4", content(500))
    for _ in range(2):
        assert moved.look(station.catalog.read())["stored"] == Amount(2, 1500)
    station.run()
    for kind in ("uploaded", "confirmed"):
        assert moved.look(station.catalog.read())[kind] == Amount(3, 1600)


def test_after_a_long_silence_all_is_counted_piece_by_piece(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backlog, "_MOST", 2)
    moved = Moved(0)
    for number in range(3):
        station.store(f"{number}.mp4", content(100, number))
    seen = [moved.look(station.catalog.read())["stored"].clips for _ in range(10)]
    assert seen == sorted(seen)
    assert seen[0] < seen[-1] == 3


def test_a_clip_that_is_only_offered_again_was_not_collected_again(station: Station) -> None:
    clip = station.store("a.mp4", content(100))
    moved = Moved(0)
    assert moved.look(station.catalog.read())["stored"].clips == 1
    station.run()
    station.catalog.write(lambda tx: rot.found(tx, clip, Problem("not-equal", {})))
    station.run()
    assert moved.look(station.catalog.read())["stored"].clips == 1


def test_the_longest_wait_counts_from_the_docking_whatever_is_more_urgent(
    station: Station, trusted_clock: None
) -> None:
    db = station.catalog.read()
    assert backlog.waits_since(db) == (False, None)
    began = time.time()
    first = station.store("old.mp4", content(100))
    station.store("new.mp4", content(101), important=True)
    docked = db.execute("SELECT started FROM dockings ORDER BY id LIMIT 1").fetchone()[0]
    assert backlog.waits_since(db) == (True, docked)
    assert began <= docked <= time.time()
    station.catalog.write(lambda tx: tx.execute("UPDATE clips SET urgency = 2 WHERE id <> ?", (first,)))
    assert backlog.waits_since(db) == (True, docked)
    station.run()
    assert backlog.waits_since(db) == (False, None)


def test_a_clip_docked_under_a_wrong_clock_counts_from_when_that_was_right(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.clock.synchronised", lambda: False)
    station.store("a.mp4", content(100))
    db = station.catalog.read()
    assert backlog.waits_since(db) == (True, None)
    monkeypatch.setattr("agent.clock.synchronised", lambda: True)
    station.store("b.mp4", content(101))
    waits, since = backlog.waits_since(db)
    right = db.execute("SELECT min(at) FROM events WHERE clock_trusted = 1").fetchone()[0]
    assert (waits, since) == (True, right)


@contextmanager
def waiting_for_a_target(
    folder: Path, clips: int
) -> Iterator[tuple[sqlite3.Connection, Callable[[], Scrape]]]:
    """So many clips, none of which is confirmed: the connection that a scrape asks, and the scrape."""
    path = catalog_path(folder)
    path.parent.mkdir(parents=True)
    build(path, clips)
    let_all_wait(path)
    catalog = Catalog.open(path)
    db = catalog.read()
    moved = Moved(events.last(db))
    wired = measured(
        catalog,
        amounts=lambda: backlog.by_state(db),
        moved=lambda: moved.look(db),
        waiting=lambda: float(backlog.waits_since(db)[0]),
        rotten=lambda: rot.waiting(db),
    )
    expose = exposition(sources(findings=lambda: findings.count(db)), wired)
    yield db, lambda: parsed(expose("")[0].decode())
    catalog.close()


def test_a_scrape_costs_the_catalog_the_same_while_hundreds_wait_and_while_thousands_do(
    tmp_path: Path,
) -> None:
    few, many = (_instructions(tmp_path / str(clips), clips) for clips in (200, 4_000))
    assert few > 0
    assert many < 1.2 * few


def _instructions(folder: Path, clips: int) -> int:
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    with waiting_for_a_target(folder, clips) as (db, scrape):
        db.set_progress_handler(count, 1)
        found = scrape()
        db.set_progress_handler(None, 0)
    assert found.value("oldest_unconfirmed_clip_age_seconds") == 1
    assert found.value("clips", state="stored") == clips
    assert all(value == 0 for _, value in found.samples["recorder_station_unmeasured"])
    return counted


def test_no_question_of_a_scrape_scans_the_clips(tmp_path: Path) -> None:
    """Every statement is asked how SQLite would answer it."""
    asked = list[str]()
    with waiting_for_a_target(tmp_path, 200) as (db, scrape):
        db.set_trace_callback(asked.append)
        scrape()
        db.set_trace_callback(None)
        assert len(asked) >= 10
        steps = [row[3] for one in asked for row in db.execute(f"EXPLAIN QUERY PLAN {one}").fetchall()]
    small = ("SCAN clip_counts", "SCAN r", "SCAN findings")  # a row for each state, rotten copy, open finding
    assert [step for step in steps if step.startswith("SCAN") and not step.startswith(small)] == []
