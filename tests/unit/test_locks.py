"""For how long a clip is locked at the centre: its period, and never longer."""

import math
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.catalog import Catalog
from agent.catalog.door import note
from agent.catalog.intake import begin_docking, see
from agent.catalog.locks import Times, times
from agent.clock import Stamp
from agent.model import Lock, SourceClip
from agent.upload.locks import Periods
from tests.uploading import WHO

DAY = 86400.0
DOCKED = datetime(2026, 11, 25, 18, 0)
AT = DOCKED.timestamp()
PERIODS = Periods(ordinary=183 * DAY, important=math.inf)


def lock(recorded: datetime | None, *, now: float = AT + 60, docked: float | None = AT) -> Lock:
    return PERIODS.lock(Times(False, recorded, docked), now)


def test_the_period_counts_from_the_recording() -> None:
    recorded = DOCKED - timedelta(hours=9)
    assert lock(recorded) == Lock(recorded.timestamp() + 183 * DAY)


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
def test_a_recorder_with_a_wrong_clock_has_its_clips_counted_from_docking(recorded: datetime | None) -> None:
    assert lock(recorded) == Lock(AT + 183 * DAY)


def test_what_is_permanent_is_held_whatever_any_clock_says() -> None:
    for recorded in (None, datetime(1980, 1, 1), datetime(2099, 1, 1)):
        assert PERIODS.lock(Times(True, recorded, AT), AT) == Lock(hold=True)


def test_a_clip_whose_period_is_over_is_not_locked() -> None:
    """The server would refuse the clip for it."""
    assert lock(None, now=AT + 183 * DAY) == Lock()
    assert lock(None, now=AT + 181 * DAY) == Lock(AT + 183 * DAY)


def test_a_clip_that_was_docked_before_the_clock_could_be_trusted_counts_from_now() -> None:
    assert lock(None, docked=None, now=AT + 5) == Lock(AT + 5 + 183 * DAY)


def test_a_docking_that_is_still_to_come_was_dated_by_a_wrong_clock(tmp_path: Path) -> None:
    """Somebody's time server said 2099, and the station believed it: no clip is locked until then."""
    with closing(Catalog.open(tmp_path / "catalog.db")) as catalog:
        with pytest.MonkeyPatch.context() as wrong:
            ahead = Stamp(datetime(2099, 1, 1).timestamp(), "", trusted=True)
            wrong.setattr("agent.catalog.door.stamp", lambda: ahead)
            [clip] = catalog.write(
                lambda tx: see(tx, begin_docking(tx, "A1", WHO), WHO, [SourceClip("1", 1, 1)])
            )
        assert times(catalog.read(), clip, AT).docked is None
        for at in (AT, AT + DAY):
            with pytest.MonkeyPatch.context() as right:
                right.setattr("agent.catalog.door.stamp", lambda at=at: Stamp(at, "", trusted=True))
                catalog.write(lambda tx: note(tx, "tick", None, {}))
        assert times(catalog.read(), clip, AT + 30 * DAY).docked == AT


@given(
    recorded=st.none() | st.datetimes(),
    wait=st.floats(0, 400 * DAY),
    ordinary=st.floats(DAY, 4000 * DAY),
)
def test_a_lock_is_never_longer_than_from_docking_on(
    recorded: datetime | None, wait: float, ordinary: float
) -> None:
    kept = Periods(ordinary, math.inf).lock(Times(False, recorded, AT), AT + wait)
    assert kept.until <= AT + ordinary
    assert kept.until == 0 or kept.until >= AT + ordinary - 7 * DAY


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
