"""Nobody guesses at a name more than five times in a quarter of an hour, and nothing grows without end."""

import sys
from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.access.lockout import (
    MOST,
    REFUSED,
    WINDOW,
    WRONG_FOR_A_NAME,
    WRONG_FROM_AN_ADDRESS,
    Lockout,
    place,
)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def a_lockout() -> tuple[Lockout, Clock]:
    clock = Clock()
    return Lockout(clock), clock


names, addresses = st.sampled_from(["wang", "li", "nobody"]), st.sampled_from(["10.0.0.1", "10.0.0.2"])
tries = st.lists(st.tuples(st.floats(0, 2 * WINDOW), names, addresses, st.booleans()), max_size=120)


@given(tries)
def test_no_more_wrong_tries_are_taken_than_the_limits_say(
    guesses: list[tuple[float, str, str, bool]],
) -> None:
    """Whoever tries whenever, from wherever, and whether some are right between them."""
    lockout, clock = a_lockout()
    of_name: dict[str, deque[float]] = {}
    of_address: dict[str, deque[float]] = {}
    for passed, name, address, right in guesses:
        clock.now += passed
        if lockout.left(name, address):
            continue
        if right:
            lockout.right(name)
            of_name.pop(name, None)
            continue
        lockout.wrong(name, address)
        for known, key, most in (
            (of_name, name, WRONG_FOR_A_NAME),
            (of_address, address, WRONG_FROM_AN_ADDRESS),
        ):
            taken = known.setdefault(key, deque())
            taken.append(clock.now)
            while taken[0] <= clock.now - WINDOW:
                taken.popleft()
            assert len(taken) <= most


@given(tries, names, addresses)
def test_who_is_refused_is_taken_again_after_a_quarter_of_an_hour(
    guesses: list[tuple[float, str, str, bool]], name: str, address: str
) -> None:
    lockout, clock = a_lockout()
    for passed, guessed, origin, _ in guesses:
        clock.now += passed
        if not lockout.left(guessed, origin):
            lockout.wrong(guessed, origin)
    left = lockout.left(name, address)
    assert 0 <= left <= REFUSED
    clock.now += left + 1e-3
    assert lockout.left(name, address) == 0


def test_the_fifth_wrong_try_refuses_the_name_and_no_other() -> None:
    lockout, clock = a_lockout()
    assert [lockout.wrong("wang", f"10.0.0.{n}")[0] for n in range(5)] == [False] * 4 + [True]
    assert lockout.left("wang", "10.0.0.9") == REFUSED
    assert lockout.left("li", "10.0.0.9") == 0
    clock.now += REFUSED - 1
    assert lockout.left("wang", "10.0.0.9") == 1
    clock.now += 1
    assert lockout.wrong("wang", "10.0.0.9") == (False, False)


def test_the_twentieth_wrong_try_refuses_the_address_and_no_other() -> None:
    lockout, _ = a_lockout()
    assert [lockout.wrong(f"n{n}", "10.0.0.1")[1] for n in range(20)] == [False] * 19 + [True]
    assert lockout.left("fresh", "10.0.0.1") == REFUSED
    assert lockout.left("fresh", "10.0.0.2") == 0


def test_a_good_account_buys_no_guesses_at_others() -> None:
    lockout, _ = a_lockout()
    for n in range(20):
        lockout.wrong(f"n{n}", "10.0.0.1")
        lockout.right("mine")
    assert lockout.left("mine", "10.0.0.1") == REFUSED


def test_a_flood_of_names_and_addresses_takes_bounded_memory_and_frees_nobody_soon() -> None:
    lockout, _ = a_lockout()
    for _ in range(5):
        lockout.wrong("wang", "10.0.0.1")
    for n in range(MOST - 1):
        lockout.wrong("x" * 1000 + str(n), f"10.{n >> 8}.{n & 255}.1")
    assert lockout.left("wang", "10.0.0.9") == REFUSED
    for n in range(MOST):
        lockout.wrong(f"y{n}", f"11.{n >> 8}.{n & 255}.1")
    kept = [lockout._names._tries, lockout._addresses._tries]
    assert [len(each) for each in kept] == [MOST, MOST]
    assert sum(sys.getsizeof(key) + sys.getsizeof(at) for each in kept for key, at in each.items()) < 3 << 20


def test_what_is_over_is_forgotten() -> None:
    lockout, clock = a_lockout()
    for n in range(100):
        lockout.wrong(f"n{n}", f"10.0.0.{n}")
    clock.now += WINDOW + 1
    lockout.wrong("one", "10.0.1.1")
    assert len(lockout._names._tries) == len(lockout._addresses._tries) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:10.0.0.1", "10.0.0.1", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("", "nonsense\udcff", False),
    ],
)
def test_what_one_machine_can_choose_is_one_place(one: str, other: str, same: bool) -> None:
    assert (place(one) == place(other)) is same
    lockout, _ = a_lockout()
    for n in range(20):
        lockout.wrong(f"n{n}", one)
    assert (lockout.left("fresh", other) > 0) is same
