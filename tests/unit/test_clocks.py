"""A recorder's clock is never called better or worse than its files and dockings prove."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.custody.clocks.interval import DAY, Interval, Offset, drift, offset, since_set, true_time

NOW = 1_790_000_000.0
HOUR = 3600.0

moments = st.lists(st.floats(0, 1), min_size=1, max_size=6)
aheads = st.floats(-40 * 365 * DAY, 40 * 365 * DAY)


def written(left: float, docked: float, shares: list[float], ahead: float) -> list[float]:
    """What a recorder names files that were made at these shares of the time between."""
    return [float(round(left + share * (docked - left) + ahead)) for share in shares]


@given(shares=moments, ahead=aheads, away=st.floats(HOUR, 30 * DAY))
def test_the_true_offset_is_always_in_the_interval(shares: list[float], ahead: float, away: float) -> None:
    files = written(NOW - away, NOW, shares, ahead)
    for left in (NOW - away, NOW - 2 * away, None):
        found = offset(files, NOW, left)
        assert found.low <= ahead <= found.high


@given(shares=moments, ahead=aheads, away=st.floats(HOUR, 30 * DAY))
def test_the_true_time_of_a_file_is_always_in_its_interval(
    shares: list[float], ahead: float, away: float
) -> None:
    left = NOW - away
    files = written(left, NOW, shares, ahead)
    for share, recorded in zip(shares, files, strict=True):
        found = true_time(recorded, offset(files, NOW, left), NOW, left)
        assert found.low <= left + share * away <= found.high
        assert left <= found.low <= found.high <= NOW


@given(
    days=st.lists(st.floats(0.2, 5), min_size=1, max_size=8),
    shares=moments,
    ahead=st.floats(-DAY, DAY),
    pace=st.floats(-60, 60),
)
def test_the_true_drift_is_always_in_the_interval(
    days: list[float], shares: list[float], ahead: float, pace: float
) -> None:
    offsets, left = list[Offset](), NOW
    for away in days:
        docked = left + away * DAY
        files = [
            float(round(moment + ahead + pace * (moment - NOW) / DAY))
            for moment in (left + share * (docked - left) for share in shares)
        ]
        offsets.append(Offset(docked, offset(files, docked, left)))
        left = docked
    # Within one stay away the clock drifts as well: the interval is of some moment in it.
    found, slack = drift(offsets), abs(pace) * max(days) * 2 / min(days)
    assert found.low - slack <= pace <= found.high + slack
    # A clock that drifts by minutes while it is away cannot be told from one that was set.
    assert since_set(offsets) == offsets or found.empty or any(one.ahead.empty for one in offsets)


def test_a_recorder_in_use_until_it_is_docked_and_soon_after_is_known_to_the_minute() -> None:
    files = written(NOW - 12 * HOUR, NOW, [0.001, 0.5, 0.999], ahead=600.0)
    found = offset(files, NOW, NOW - 12 * HOUR)
    assert 540 < found.low <= 600 <= found.high < 660
    assert found.outside(500)
    assert not found.outside(700)


@pytest.mark.parametrize("left", [None, NOW - 12 * HOUR])
def test_a_clock_that_fell_back_to_1980_is_told(left: float | None) -> None:
    reset = 315_532_800.0  # 1980-01-01
    found = offset([reset + 60, reset + 7200], NOW, left)
    assert found.low < -40 * 365 * DAY
    assert found.outside(DAY) is (left is not None)  # never docked before: the files may be that old


def test_a_clock_that_was_set_between_two_dockings_explains_itself_from_then_on() -> None:
    slow = [Offset(NOW + n * DAY, Interval(-610 - n, -590 - n)) for n in range(4)]
    right = [Offset(NOW + n * DAY, Interval(-10, 10)) for n in range(4, 8)]
    assert drift(slow + right).empty
    assert since_set(slow + right) == right
    assert since_set(slow) == slow


def test_what_cannot_be_true_at_once_says_nothing() -> None:
    files = [NOW - 30 * DAY, NOW - 60]  # one of them was not made since the recorder was here last
    found = offset(files, NOW, NOW - DAY)
    assert found.empty
    assert not found.outside(0)
    assert true_time(files[0], found, NOW, NOW - DAY) == Interval(NOW - DAY, NOW)
    assert drift([Offset(NOW, found), Offset(NOW + DAY, Interval(0, 1))]) == Interval(-math.inf, math.inf)
