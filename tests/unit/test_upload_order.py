"""Which clip goes to the centre next: what somebody asked for, what is important, what was docked first."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, deliveries, intake, migrate, priority, waiting
from agent.catalog.documents import manifest_of
from agent.config import Config
from agent.errors import Reject, Transient
from agent.model import ClipState, Identity, Problem, SourceClip, StoredClip
from agent.upload.breaker import FAILURES
from agent.upload.commands import commands
from agent.upload.live import LiveUploads
from scripts.benchmarks.million import build
from tests.unit.test_upload_scheduler import HOUR, facts, moody
from tests.uploading import PART, WHO, Station, content, eventually, locked, running

DAY = 86400.0
WHO_ASKS = "uid 0"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


def order(station: Station, least: tuple[int, int] = (0, 0)) -> list[int]:
    """All that waits, as it would be sent."""
    found: list[int] = []
    station.catalog.write(lambda tx: waiting.follow(tx, "centre", {"centre": "1"}))
    db = station.catalog.read()
    while (clip := waiting.next_due(db, "centre", "1", found.__contains__, least)) is not None:
        found.append(clip)
    return found


def ask(station: Station, work: Callable[[sqlite3.Connection], Any]) -> Any:
    return station.catalog.write(work)


def asked(station: Station, kind: str) -> list[dict[str, Any]]:
    rows = station.catalog.read().execute("SELECT body FROM events WHERE kind = ? ORDER BY seq", (kind,))
    return [json.loads(row[0]) for row in rows]


def test_this_clip_then_a_slots_clips_then_important_ones_then_the_oldest_docking(station: Station) -> None:
    old, new = station.store("1.mp4", b"1"), station.store("2.mp4", b"2")
    important = station.store("3.mp4", b"3", important=True)
    of_slot, now = station.store("4.mp4", b"4"), station.store("5.mp4", b"5")
    ask(station, lambda tx: tx.execute("UPDATE clips SET recorder = '7' WHERE id = ?", (of_slot,)))
    ask(station, lambda tx: tx.execute("UPDATE dockings SET recorder = '7', slot = 'B' WHERE id = 4"))
    assert order(station) == [important, old, new, of_slot, now]
    ask(station, lambda tx: priority.first_of_slot(tx, "B", WHO_ASKS))
    ask(station, lambda tx: priority.first(tx, now, WHO_ASKS))
    assert order(station) == [now, of_slot, important, old, new]
    assert order(station, (0, 1)) == [now, of_slot, important]
    assert order(station, (2, 0)) == [now]
    assert asked(station, "upload-now") == [{"who": WHO_ASKS}]
    assert [(note["slot"], note["recorder"], note["who"]) for note in asked(station, "upload-slot")] == [
        ("B", "7", WHO_ASKS)
    ]


@pytest.mark.parametrize("year", [1980, 2099])
def test_a_clip_that_was_docked_under_a_wrong_clock_waits_for_its_turn_and_no_longer(
    station: Station, monkeypatch: pytest.MonkeyPatch, year: int
) -> None:
    before = station.store("1.mp4", b"1")
    with monkeypatch.context() as wrong:
        wrong.setattr("time.time", lambda: (year - 1970) * 365.25 * DAY)
        clip = station.store("2.mp4", b"2")
    after = station.store("3.mp4", b"3")
    assert order(station) == [before, clip, after]


def test_the_next_clip_is_found_by_its_index_alone(tmp_path: Path) -> None:
    """Whatever a catalog holds: nothing is sorted, and nothing looked at but what waits for that target."""
    path = tmp_path / "catalog.db"
    build(path, 2_000)
    with closing(sqlite3.connect(path)) as db:
        plan = [
            row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {waiting._NEXT}", ("centre", "centre", "1"))
        ]
    assert any("SEARCH waiting USING PRIMARY KEY" in step for step in plan), plan
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in plan), plan


def test_what_a_priority_docking_still_brings_goes_first_too(station: Station) -> None:
    first = station.store("1.mp4", b"1")
    recorder = Identity("7", True, "F")

    def work(tx: sqlite3.Connection) -> list[int]:
        docking = intake.begin_docking(tx, "B", recorder)
        assert priority.first_of_slot(tx, "B", WHO_ASKS) == ("7", 0)
        return intake.see(tx, docking, recorder, [SourceClip("DCIM/late.mp4", 5, 5)])

    [late] = ask(station, work)
    assert priority.rank(station.catalog.read(), late) > priority.rank(station.catalog.read(), first)


def test_a_clip_that_comes_back_from_quarantine_in_a_priority_docking_goes_first(station: Station) -> None:
    clip = station.store("1.mp4", b"1")
    station.path(station.key(clip)).unlink()
    station.run()
    assert station.state(clip) == "quarantined"

    def again(tx: sqlite3.Connection) -> None:
        docking = intake.begin_docking(tx, "A1", WHO)
        priority.first_of_slot(tx, "A1", WHO_ASKS)
        intake.see_again(tx, clip, ClipState.QUARANTINED, docking)

    ask(station, again)
    assert priority.rank(station.catalog.read(), clip) == (1, 0)


def test_content_that_is_known_already_takes_the_priority_over(station: Station) -> None:
    data = content(1000)
    twin, other = station.store("1.mp4", data), station.store("2.mp4", b"2")
    ask(station, lambda tx: priority.first_of_slot(tx, "A1", WHO_ASKS))
    ask(station, lambda tx: tx.execute("UPDATE clips SET urgency = 0"))

    def again(tx: sqlite3.Connection) -> None:
        manifest = manifest_of(tx, twin)
        docking = tx.execute("SELECT max(id) FROM dockings").fetchone()[0]
        [clip] = intake.see(tx, docking, WHO, [SourceClip("DCIM/3.mp4", len(data), 6)])
        intake.start(tx, [clip], docking)
        assert intake.describe(tx, clip, manifest, "other key", b"samples") == twin

    ask(station, again)
    assert order(station) == [twin, other]
    assert priority.rank(station.catalog.read(), twin)[0] == 1


def test_what_cannot_be_asked_for_is_refused_in_words(station: Station) -> None:
    done = station.store("1.mp4", b"1")
    station.run()
    refused = {
        "no-such-clip": lambda tx: priority.first(tx, 10**9, WHO_ASKS),
        "clip-needs-no-upload": lambda tx: priority.first(tx, done, WHO_ASKS),
        "no-such-slot": lambda tx: priority.first_of_slot(tx, "Z9", WHO_ASKS),
        "slot-needs-no-upload": lambda tx: priority.first_of_slot(tx, "A1", WHO_ASKS),
        "none-rejected": lambda tx: deliveries.retry_asked(tx, None, WHO_ASKS, {}),
        "clip-not-rejected": lambda tx: deliveries.retry_asked(tx, done, WHO_ASKS, {}),
    }
    ask(station, lambda tx: tx.execute("UPDATE dockings SET ended = 1"))
    for key, work in refused.items():
        with pytest.raises(Reject) as caught:
            ask(station, work)
        assert caught.value.key == key
    assert asked(station, "upload-now") == asked(station, "upload-slot") == []


@pytest.mark.parametrize("text", ["", "x", "-1", "1.5", "٣", "9" * 30])
def test_a_clip_that_is_no_number_is_refused_at_the_door(station: Station, text: str) -> None:
    door = commands(LiveUploads(station.catalog, station.path, locked()))
    for name in ("upload-now", "upload-retry"):
        with pytest.raises(Reject) as caught:
            door[name]({"clip": text}, WHO_ASKS)
        assert caught.value.key == "no-such-clip"


def test_rejected_clips_are_tried_again_when_somebody_asks(station: Station) -> None:
    clips = [station.store(f"{number}.mp4", content(10, number)) for number in range(3)]
    here = {"centre": station.targets["centre"].place()}
    why = Problem("target-too-large")

    def refuse(tx: sqlite3.Connection) -> None:
        for clip in clips:
            deliveries.rejected(tx, clip, "centre", why, here)

    ask(station, refuse)
    uploads = LiveUploads(station.catalog, station.path, locked())
    door = commands(uploads)
    with pytest.raises(Reject) as caught:
        door["upload-now"]({"clip": str(clips[0])}, WHO_ASKS)
    assert caught.value.key == "clip-is-rejected"
    assert door["upload-retry"]({"clip": str(clips[1])}, WHO_ASKS) == {"clips": 1}
    assert [station.state(clip) for clip in clips] == ["rejected", "stored", "rejected"]
    target = {"kind": "folder", "path": station.share, "local": True}
    uploads.apply(Config.model_validate({"targets": {"centre": target}}))
    eventually(lambda: station.state(clips[1]) == "confirmed")
    assert door["upload-retry"]({}, WHO_ASKS) == {"clips": 2}
    eventually(lambda: station.states() == {"confirmed"})
    assert uploads.stop(60)
    kinds = [body for kind, body in station.events(clips[0]) if kind == "stored" and "who" in body]
    assert [body["who"] for body in kinds] == [WHO_ASKS]


def test_a_long_clip_gives_way_to_one_that_somebody_asked_for_and_goes_on_afterwards(tmp_path: Path) -> None:
    sent: list[int] = []

    def before(step: str, clip: StoredClip) -> None:
        if step != "send":
            return
        sent.append(clip.id)
        if len(sent) == 2:
            here.catalog.write(lambda tx: priority.first(tx, wanted, WHO_ASKS))

    here = moody(tmp_path, before)
    long, wanted = here.store("long.mp4", content(5 * PART)), here.store("wanted.mp4", content(PART))
    here.run()
    assert sent == [long, long, wanted, long, long, long]
    assert here.states() == {"confirmed"}
    assert here.taken() == 6 * PART
    here.close()


def test_a_clip_that_waits_for_another_try_is_sent_at_once_when_somebody_asks(tmp_path: Path) -> None:
    fails = True

    def before(step: str, _: StoredClip) -> None:
        if fails and step == "begin":
            raise Transient(error="EIO")

    station = moody(tmp_path, before)
    clip = station.store("1.mp4", b"1")
    station.run()
    fails = False
    assert station.run() == 0
    station.uploads.hurry(clip)
    assert station.run() == 1
    assert station.state(clip) == "confirmed"
    station.close()


def test_clips_are_late_when_their_deadline_is_over_by_a_clock_to_be_trusted(station: Station) -> None:
    db = station.catalog.read()

    def event(at: float, *, trusted: bool) -> None:
        sequence = "(SELECT max(seq) + 1 FROM events)"
        ask(station, lambda tx: tx.execute(
            f"INSERT INTO events VALUES ({sequence}, NULL, 'tick', '{{}}', ?, '', ?)", (at, trusted)
        ))  # fmt: skip

    station.store("0.mp4", b"0")
    station.run()
    assert station.states() == {"confirmed"}
    first = station.store("1.mp4", b"1")
    event(1000.0, trusted=True)
    second = station.store("2.mp4", b"2")
    event(5.0, trusted=False)  # a clock of 1980: it tells nothing of what came before it
    assert priority.overdue(db, 999.0) == 0
    assert priority.overdue(db, 1001.0) == 1
    event(2000.0, trusted=True)
    assert priority.overdue(db, 2001.0) == 2
    with running(station.make_uploads()):
        eventually(lambda: {station.state(first), station.state(second)} == {"confirmed"})
    assert priority.overdue(db, 2001.0) == 0


def test_a_catalog_of_an_earlier_version_keeps_its_clips_and_what_was_lost(tmp_path: Path) -> None:
    path = tmp_path / "catalog.db"
    known = migrate.steps()
    with pytest.MonkeyPatch.context() as earlier:
        earlier.setattr(migrate, "steps", lambda: known[:2])
        build(path, 100)
    with closing(sqlite3.connect(path)) as db:
        clip = db.execute("SELECT max(id) FROM clips").fetchone()[0]
        db.execute("UPDATE deliveries SET state = 'sending' WHERE clip = ?", (clip,))
        sequence = db.execute("SELECT max(seq) + 1 FROM events").fetchone()[0]
        body = json.dumps({"target": "centre"})
        db.execute("INSERT INTO events VALUES (?, ?, 'lost-at-target', ?, 0, '', 1)", (sequence, clip, body))
        db.commit()
    with closing(Catalog.open(path)) as catalog:
        rows = catalog.read().execute("SELECT clip, target FROM deliveries WHERE lost = 1").fetchall()
        assert [tuple(row) for row in rows] == [(clip, "centre")]


def test_a_target_that_was_down_gets_clips_again_although_one_that_somebody_asked_for_had_failed(
    tmp_path: Path,
) -> None:
    """Who tries the target does not give way to a clip that may not try it."""
    down = True

    def before(step: str, _: StoredClip) -> None:
        if down and step == "begin":
            raise Transient(error="EIO")

    here = moody(tmp_path, before)
    failed = [here.store(f"{number}.mp4", content(PART, number)) for number in range(FAILURES)]
    here.catalog.write(lambda tx: priority.first(tx, failed[0], WHO_ASKS))
    here.run()
    assert facts(here).breaker == "open"
    here.store("late.mp4", content(PART, FAILURES))
    down = False
    here.clock.now += HOUR
    here.run()
    assert here.states() == {"confirmed"}
    here.close()
