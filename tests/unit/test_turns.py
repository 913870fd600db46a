"""How much of looking at recordings is one person's share."""

import pytest

from agent.errors import Reject
from agent.web.api.turns import AT_ONCE, MOST, MOST_OF_ONE, PAUSE, Looks, Seats


def test_who_looks_at_many_at_once_waits_a_pause_for_each_one_more() -> None:
    now = [0.0]
    looks = Looks(lambda: now[0])
    for _ in range(AT_ONCE):
        looks.take("li")
    with pytest.raises(Reject, match="looks-busy"):
        looks.take("li")
    looks.take("zhao")
    now[0] = PAUSE
    looks.take("li")
    with pytest.raises(Reject, match="looks-busy"):
        looks.take("li")
    now[0] = 1000 * PAUSE
    for _ in range(AT_ONCE):
        looks.take("li")
    assert list(looks._until) == ["li"]  # who owes nothing is forgotten


def test_places_are_given_back_and_nobody_takes_them_all() -> None:
    seats = Seats()
    for _ in range(MOST_OF_ONE):
        seats.take("li")
    with pytest.raises(Reject, match="recordings-busy"):
        seats.take("li")
    for number in range(MOST - MOST_OF_ONE):
        seats.take(f"somebody {number}")
    with pytest.raises(Reject, match="recordings-busy"):
        seats.take("zhao")
    seats.leave("li")
    seats.take("zhao")
    for _ in range(MOST_OF_ONE - 1):
        seats.leave("li")
    assert "li" not in seats._taken
