"""Sessions end, whatever happens, and nobody begins so many that others' memory or sessions go."""

import re
from dataclasses import dataclass

from hypothesis import given
from hypothesis import strategies as st

from agent.access.roles import RIGHTS, Caller, Role
from agent.access.sessions import IDLE, MOST, MOST_OF_ONE, WHOLE, Sessions


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def who(name: str) -> Caller:
    return Caller(name, Role.REVIEWER, RIGHTS[Role.REVIEWER])


@dataclass
class Row:
    """What ought to be."""

    secret: str
    name: str
    began: float
    seen: float

    def alive(self, now: float) -> bool:
        return now - self.seen < IDLE and now - self.began < WHOLE


steps = st.lists(
    st.tuples(
        st.floats(0, IDLE * 1.2),
        st.sampled_from(["begin", "look", "poll", "end"]),
        st.sampled_from(["wang", "li"]),
        st.integers(0, 30),
    ),
    max_size=60,
)


@given(steps)
def test_a_session_lives_exactly_as_long_as_it_may(done: list[tuple[float, str, str, int]]) -> None:
    clock, rows = Clock(), list[Row]()  # the oldest first
    sessions = Sessions(clock)
    for passed, what, name, which in done:
        clock.now += passed
        rows = [row for row in rows if row.alive(clock.now)]
        if what == "begin":
            own = [row for row in rows if row.name == name]
            if len(own) == MOST_OF_ONE:
                rows.remove(own[0])
            rows.append(Row(sessions.begin(who(name), 1), name, clock.now, clock.now))
        elif rows:
            row = rows[which % len(rows)]
            if what == "end":
                assert sessions.end(row.secret)
                rows.remove(row)
            else:
                assert sessions.of(row.secret, polling=what == "poll")
                row.seen = clock.now if what == "look" else row.seen
    for row in rows:
        found = sessions.of(row.secret, polling=True)
        assert found
        assert found.caller.name == row.name
    clock.now += IDLE + 1
    assert [row for row in rows if sessions.of(row.secret) or sessions.end(row.secret)] == []


def test_who_works_all_day_logs_in_anew_after_twelve_hours() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    secret = sessions.begin(who("wang"), 1)
    for _ in range(int(WHOLE / 600) - 1):
        clock.now += 600
        assert sessions.of(secret)
    clock.now += 600
    assert sessions.of(secret) is None
    assert len(sessions) == 0


def test_a_page_that_asks_by_itself_keeps_no_session_alive() -> None:
    clock = Clock()
    sessions = Sessions(clock)
    secret = sessions.begin(who("wang"), 1)
    for _ in range(int(IDLE) - 1):
        clock.now += 1
        assert sessions.of(secret, polling=True)
    clock.now += 1
    assert sessions.of(secret, polling=True) is None


def test_there_are_never_too_many_and_the_oldest_goes() -> None:
    sessions = Sessions(Clock())
    mine = [sessions.begin(who("wang"), 1) for _ in range(MOST_OF_ONE + 1)]
    assert [bool(sessions.of(secret)) for secret in mine] == [False] + [True] * MOST_OF_ONE
    for n in range(MOST):
        sessions.begin(who(f"n{n}"), 1)
    assert len(sessions) == MOST
    assert not any(sessions.of(secret) for secret in mine)


def test_a_secret_is_long_never_the_same_and_not_kept() -> None:
    sessions = Sessions(Clock())
    made = {sessions.begin(who(f"n{n}"), 1) for n in range(100)}
    assert len(made) == 100
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", secret) for secret in made)
    assert not any(secret in repr(vars(sessions)) for secret in made)
    for nonsense in ("", "x" * 100_000, "\udcff", "汉字"):
        assert sessions.of(nonsense) is None
        assert sessions.end(nonsense) is None
