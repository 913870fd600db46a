"""For how long a clip is locked at the centre: its period, and never longer."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog import Catalog, clocks, door, holds, intake, retained
from agent.catalog.clocks import Compared
from agent.catalog.retained import Row
from agent.clock import Stamp
from agent.model import Lock, SourceClip
from agent.retention.book import Book, take_over
from tests.retaining import config
from tests.uploading import WHO, locked

DAY = 86400.0
DOCKED = datetime(2026, 11, 25, 18, 0)
AT = DOCKED.timestamp()


class Docked:
    """A catalog to which recorders come. `at`, `trusted`: what the station's clock says meanwhile."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog, self.at, self.trusted = catalog, AT, True

    def clip(self, recorded: datetime | None, important: bool = False) -> int:
        source = SourceClip("1", 1, 1, recorded_at=recorded, important=important)
        self.docking = self.catalog.write(lambda tx: intake.begin_docking(tx, "A1", WHO))
        [clip] = self.catalog.write(lambda tx: intake.see(tx, self.docking, WHO, [source]))
        return clip

    def lock(self, clip: int, now: float = AT + 60, ordinary: float = 183 * DAY) -> Lock:
        return locked(ordinary)(self.catalog.read(), clip, now)

    def tick(self, at: float, trusted: bool = True) -> None:
        self.at, self.trusted = at, trusted
        self.catalog.write(lambda tx: door.note(tx, "tick", None, {}))


@pytest.fixture
def docked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Docked]:
    with closing(Catalog.open(tmp_path / "catalog.db")) as catalog:
        made = Docked(catalog)
        monkeypatch.setattr("agent.catalog.door.stamp", lambda: Stamp(made.at, "", made.trusted))
        yield made


def test_the_period_counts_from_the_recording(docked: Docked) -> None:
    recorded = DOCKED - timedelta(hours=9)
    assert docked.lock(docked.clip(recorded)) == Lock(recorded.timestamp() + 183 * DAY)


@pytest.mark.parametrize(
    "recorded",
    [
        None,
        datetime(1980, 1, 1),
        datetime(2099, 12, 31, 23, 59),
        datetime(2000, 1, 1),
        datetime.min,
        datetime.max,
        DOCKED + timedelta(seconds=1),
        DOCKED - timedelta(days=8),
    ],
)
def test_a_recorder_with_a_wrong_clock_has_its_clips_counted_from_docking(
    docked: Docked, recorded: datetime | None
) -> None:
    assert docked.lock(docked.clip(recorded)) == Lock(AT + 183 * DAY)


@pytest.mark.parametrize(
    ("low", "high", "later"),
    [
        (-9 * 3600.0, 60.0, 0.0),  # it may have been right
        (3600.0, 3700.0, -3600.0),  # ahead: it was recorded earlier
        (-3700.0, -3600.0, 3700.0),  # behind: it was recorded later, by as much as can be
        (-30 * 3600.0, -29 * 3600.0, 9 * 3600.0),  # later than the docking it cannot have been
    ],
)
def test_the_period_counts_from_the_time_that_the_clock_ledger_corrects(
    docked: Docked, low: float, high: float, later: float
) -> None:
    recorded = DOCKED - timedelta(hours=9)
    clip = docked.clip(recorded)
    compared = Compared(docked.docking, WHO.recorder, AT, AT - DAY, AT - 9 * 3600, AT - 9 * 3600, 1)
    docked.catalog.write(lambda tx: clocks.keep(tx, compared, low, high))
    assert docked.lock(clip) == Lock(recorded.timestamp() + later + 183 * DAY)


def test_what_is_permanent_is_held_whatever_any_clock_says(docked: Docked) -> None:
    clips = [docked.clip(at, important=True) for at in (None, datetime(1980, 1, 1), datetime(2099, 1, 1))]
    assert [docked.lock(clip) for clip in clips] == [Lock(hold=True)] * 3


def test_a_clip_under_a_legal_hold_is_held_at_the_centre_too(docked: Docked) -> None:
    clip, book = docked.clip(None), Book()
    take_over(docked.catalog, config())
    assert book.lock(docked.catalog.read(), clip, AT) == Lock(AT + 183 * DAY)
    hold = {"scope": "recorder", "value": WHO.recorder}
    number = docked.catalog.write(lambda tx: holds.place(tx, hold, {}))
    assert book.lock(docked.catalog.read(), clip, AT) == Lock(hold=True)
    docked.catalog.write(lambda tx: holds.lift(tx, number, {}))
    assert book.lock(docked.catalog.read(), clip, AT) == Lock(AT + 183 * DAY)


def test_a_clip_whose_period_is_over_is_not_locked(docked: Docked) -> None:
    """The server would refuse the clip for it."""
    clip = docked.clip(None)
    assert docked.lock(clip, now=AT + 183 * DAY) == Lock()
    assert docked.lock(clip, now=AT + 181 * DAY) == Lock(AT + 183 * DAY)


def test_a_clip_that_was_docked_before_the_clock_could_be_trusted_counts_from_now(docked: Docked) -> None:
    docked.trusted = False
    assert docked.lock(docked.clip(None), now=AT + 5) == Lock(AT + 5 + 183 * DAY)


def test_a_docking_that_is_still_to_come_was_dated_by_a_wrong_clock(docked: Docked) -> None:
    """Somebody's time server said 2099, and the station believed it: no clip is locked until then."""
    docked.at = datetime(2099, 1, 1).timestamp()
    clip, db = docked.clip(None), docked.catalog.read()
    row = retained.one(db, clip)
    assert row
    assert retained.began(db, row, AT).at is None
    for at in (AT, AT + DAY):
        docked.tick(at)
    assert retained.began(db, row, AT + 30 * DAY).at == AT


@given(
    recorded=st.none() | st.datetimes(),
    low=st.none() | st.floats(-10 * DAY, 10 * DAY),
    wide=st.none() | st.floats(0, 10 * DAY),
)
def test_what_a_period_counts_from_is_never_after_docking_and_never_long_before(
    recorded: datetime | None, low: float | None, wide: float | None
) -> None:
    high = None if low is None or wide is None else low + wide
    said = recorded.isoformat() if recorded else None
    row = Row(1, "stored", "", "", "", 0, "", "", 0, said, AT, 1, low, high, None, 1, 1, 1, None)
    with closing(sqlite3.connect(":memory:")) as db:  # of a trusted docking nothing is asked
        begun = retained.began(db, row, AT + DAY).at
    assert begun is not None
    assert AT - 17 * DAY <= begun <= AT


@pytest.mark.parametrize(
    ("kept", "wanted", "covers"),
    [
        (Lock(), Lock(), True),
        (Lock(100.0), Lock(100.9), True),
        (Lock(100.0), Lock(101.0), False),
        (Lock(101.0), Lock(5.0), True),
        (Lock(), Lock(hold=True), False),
        (Lock(hold=True), Lock(5.0), False),
        (Lock(5.0, hold=True), Lock(5.0), True),
    ],
)
def test_a_lock_covers_what_keeps_no_longer(kept: Lock, wanted: Lock, covers: bool) -> None:
    assert kept.covers(wanted) is covers
