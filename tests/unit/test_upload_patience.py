"""Waiting after failures: how long, and how a breaker keeps clips from a target that is down."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import AuthFailed, StationError, TargetFull, Transient
from agent.upload.breaker import AUTH_PROBE, FAILURES, OPEN, Breaker, BreakerState
from agent.upload.retry import Backoff


@given(failures=st.integers(1, 10**9), seed=st.integers())
def test_a_wait_is_never_longer_than_the_cap_nor_shorter_than_its_half(failures: int, seed: int) -> None:
    backoff = Backoff(first=2, cap=900, jitter=0.5)
    whole = min(900, 2.0 * 2 ** min(failures - 1, 40))
    assert whole / 2 <= backoff.delay(failures, random.Random(seed)) <= whole


@given(failures=st.integers(1, 50), asked=st.floats(0, 1e9))
def test_a_target_that_names_a_wait_gets_it_within_reason(failures: int, asked: float) -> None:
    backoff = Backoff(patience=3600)
    wait = backoff.delay(failures, random.Random(0), asked)
    assert wait >= min(asked, 3600)
    assert wait <= max(backoff.cap, 3600)


def test_stations_that_failed_together_do_not_come_back_together() -> None:
    assert len({Backoff().delay(5, random.Random(seed)) for seed in range(100)}) == 100


CLIP, OTHER = 7, 8  # errands


def breaker() -> Breaker:
    return Breaker(random.Random(0))


def fail(it: Breaker, times: int, now: float = 0.0) -> None:
    for _ in range(times):
        it.failed(CLIP, Transient(error="EIO"), now)


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    it = breaker()
    for count in range(FAILURES):
        assert it.state(0) is BreakerState.CLOSED, count
        it.failed(CLIP, Transient(), 0)
    assert it.state(0) is BreakerState.OPEN
    assert not it.allows(0)


def test_a_clip_that_others_have_overtaken_does_not_open_it() -> None:
    it = breaker()
    fail(it, FAILURES - 1)
    for _ in range(100):
        it.failed(CLIP, Transient(error="EIO"), 0, suspect=True)
    assert it.allows(0)
    fail(it, 1)
    assert not it.allows(0)


def test_a_success_in_between_starts_the_count_again() -> None:
    it = breaker()
    fail(it, FAILURES - 1)
    it.succeeded()
    fail(it, FAILURES - 1)
    assert it.allows(0)
    assert it.problem is not None


def test_a_refused_credential_opens_it_at_once_for_five_minutes() -> None:
    it = breaker()
    it.failed(CLIP, AuthFailed(error="EACCES"), 100)
    assert not it.allows(100 + AUTH_PROBE - 1)
    assert it.allows(100 + AUTH_PROBE)
    assert it.problem is not None
    assert (it.problem.key, it.problem.params) == ("target-auth", {"error": "EACCES"})


def test_one_clip_at_a_time_tries_a_target_that_was_down() -> None:
    it = breaker()
    fail(it, FAILURES)
    at = it.retry_at()
    assert at is not None
    assert it.state(at) is BreakerState.HALF_OPEN
    assert it.allows(at)
    it.taken(CLIP)
    assert not it.allows(at + 1e6)
    assert it.retry_at() is None
    it.released(CLIP)
    assert it.allows(at)
    it.taken(CLIP)
    it.succeeded()
    assert it.state(at) is BreakerState.CLOSED
    assert it.problem is None


def test_a_target_that_stays_down_is_tried_less_and_less_often_but_always_again() -> None:
    it, now, waits = breaker(), 0.0, []
    fail(it, FAILURES)
    for _ in range(20):
        at = it.retry_at()
        assert at is not None
        waits.append(at - now)
        now = at
        assert it.allows(now)
        it.taken(CLIP)
        fail(it, 1, now)
    assert max(waits) <= OPEN.cap
    assert waits[0] <= OPEN.first < min(waits[5:])


def test_clips_on_their_way_when_it_opens_do_not_keep_it_open_for_longer() -> None:
    it = breaker()
    fail(it, FAILURES)
    at = it.retry_at()
    fail(it, 3, now=1.0)
    assert it.retry_at() == at


def test_a_named_wait_keeps_it_open_for_that_long() -> None:
    it = breaker()
    for _ in range(FAILURES):
        it.failed(CLIP, Transient(retry_after=1800), 0)
    assert not it.allows(1799)
    assert it.allows(1800)


def test_a_full_target_is_left_alone_at_once_and_tried_every_few_minutes() -> None:
    it, now = breaker(), 0.0
    for _ in range(20):
        assert it.allows(now)
        it.taken(CLIP)
        it.failed(CLIP, TargetFull(), now)
        assert not it.allows(now)
        at = it.retry_at()
        assert at is not None
        assert at - now <= OPEN.cap
        now = at


def test_a_clip_that_has_no_room_where_others_have_does_not_open_it() -> None:
    it = breaker()
    it.failed(CLIP, TargetFull(), 0, suspect=True)
    assert it.allows(0)


@pytest.mark.parametrize("error", [TargetFull(), AuthFailed()])
def test_an_answer_to_a_question_opens_no_way_for_clips(error: StationError) -> None:
    it = breaker()
    it.failed(CLIP, error, 0)
    assert it.refuses_clips
    at = it.retry_at()
    assert at is not None
    it.taken(OTHER, decides=False)
    it.answered(OTHER)
    assert it.state(at) is BreakerState.HALF_OPEN
    assert it.problem is not None
    it.taken(CLIP)
    it.succeeded()
    assert it.allows(0)
    assert it.state(at) is BreakerState.CLOSED


def test_a_question_that_was_on_its_way_before_decides_nothing() -> None:
    it = breaker()
    fail(it, FAILURES)
    at = it.retry_at()
    assert at is not None
    it.taken(CLIP)
    it.answered(OTHER)
    assert it.state(at) is BreakerState.HALF_OPEN
    assert not it.allows(at), "another one tries while the first does"
    it.released(OTHER)
    assert not it.allows(at)


def test_a_question_that_failed_is_made_good_by_an_answer() -> None:
    it = breaker()
    for _ in range(FAILURES):
        it.failed(OTHER, Transient(), 0, clip=False)
    at = it.retry_at()
    assert at is not None
    it.taken(OTHER)
    it.answered(OTHER)
    assert it.state(at) is BreakerState.CLOSED
