"""Whoever has the facts of an event has the bytes of its entry, and the other way round."""

import json
import math
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.custody.log.leaf import LARGEST, Event, entry, event, moment

texts = st.text(st.characters(codec="utf-8"), max_size=20)
numbers = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
bodies = st.dictionaries(
    texts,
    st.recursive(
        st.none() | st.booleans() | numbers | texts,
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
        max_leaves=10,
    ),
    max_size=5,
)
events = st.builds(
    Event,
    seq=st.integers(1, 2**63 - 1),
    clip=st.none() | st.integers(1, 2**63 - 1),
    kind=texts,
    body=bodies.map(lambda body: json.dumps(body, ensure_ascii=False)),
    at=st.floats(allow_nan=False) | st.floats(1e9, 4e9),
    boot_id=texts,
    clock_trusted=st.integers(0, 1),
)


def of(body: str, **others: Any) -> Event:
    return Event(7, 3, "stored", body, 1.5, "b", 1)._replace(**others)


def body_of(made: bytes) -> Any:
    return json.loads(made)["body"]


def test_an_entry_reads_as_documented() -> None:
    made = entry(Event(7, None, "docked", '{"z": 1.0, "a": "端口"}', 1_700_000_000.25, "boot", 0))
    assert made.decode() == (
        '{"at":"2023-11-14T22:13:20.250000Z","body":{"a":"端口","z":1},"boot":"boot","clip":null,'
        '"clock":false,"kind":"docked","seq":7}'
    )


@given(events)
def test_every_event_has_one_entry_and_every_entry_its_event(given_event: Event) -> None:
    made = entry(given_event)
    assert len(made) <= LARGEST
    told = event(made)
    assert entry(told) == made
    assert told[:3] == given_event[:3]
    assert told[5:] == given_event[5:]
    assert told.at == given_event.at or abs(told.at - given_event.at) <= 1e-6


@given(st.floats(-6e10, 2.5e11))
def test_a_time_comes_back_to_the_microsecond(at: float) -> None:
    told = event(entry(of("{}", at=at))).at
    assert abs(told - at) <= 5.1e-7 + math.ulp(at)  # which a float cannot tell, in some centuries
    assert moment(told) == moment(at)


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        (0.0, "1970-01-01T00:00:00.000000Z"),
        (-0.5, "1969-12-31T23:59:59.500000Z"),
        (0.9999999, "1970-01-01T00:00:01.000000Z"),
        (253402300799.0, "9999-12-31T23:59:59.000000Z"),
        (253402300800.0, "@253402300800.0"),
        (-62135596800.0, "@-62135596800.0"),
        (1e300, "@1e+300"),
        (math.inf, "@inf"),
    ],
)
def test_a_clock_may_say_anything(at: float, shown: str) -> None:
    assert moment(at) == shown


def test_large_integers_are_told_exactly() -> None:
    made = entry(of('{"below":9007199254740991,"at":9007199254740992,"minus":-9007199254740993,"all":1e16}'))
    assert body_of(made) == {
        "below": 9007199254740991,
        "at": "9007199254740992",
        "minus": "-9007199254740993",
        "all": 10**16,
    }


@pytest.mark.parametrize(
    "body",
    [
        '{"to":"stored","to":"released"}',
        '{"in":{"a":1,"a":1}}',
        '"\\ud800"',
        '{"\\udfff":1}',
        "1e999",
        "1" * 5000,
        "[" * 65 + "]" * 65,
        "[" * 990 + "]" * 990,
        json.dumps({"name": "x" * LARGEST}),
    ],
)
def test_what_has_no_canonical_form_is_told_by_its_digest(body: str) -> None:
    """Else two bodies that read differently could be the same entry."""
    made = entry(of(body))
    assert set(body_of(made)) == {"bytes", "sha256"}
    assert body_of(made)["bytes"] == len(body)
    assert made != entry(of(body + " "))
    assert entry(event(made)) == made


def test_a_body_as_deep_as_may_be_is_told_whole() -> None:
    assert body_of(entry(of("[" * 64 + "]" * 64))) != {"bytes": 128}


def test_the_longest_entry_is_told_whole_and_one_byte_more_is_not() -> None:
    room = LARGEST - len(entry(of('{"a":""}')))
    assert len(entry(of(json.dumps({"a": "x" * room})))) == LARGEST
    assert "sha256" in body_of(entry(of(json.dumps({"a": "x" * (room + 1)}))))


def test_a_kind_without_end_is_refused() -> None:
    with pytest.raises(ValueError, match="event 7 is too long"):
        entry(of("{}", kind="x" * LARGEST))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b"\xff",
        b"[" * 5000,
        entry(of("{}")) + b" ",
        entry(of("{}")).replace(b'"clip":3', b'"clip": 3'),
        entry(of("{}")).replace(b'"seq":7', b'"seq":7.0'),
        entry(of("{}")).replace(b'"kind":"stored"', b'"kind":7'),
        entry(of("{}")).replace(b"1970-01-01", b"1970-01-32"),
        entry(of("{}")).replace(b'"clip":3', b'"clip":"x"'),
        entry(of("{}")).replace(b'"clip":3', b'"clip":1e999'),
        entry(of("{}")).replace(b'"at"', b'"zz":1,"at"'),
    ],
)
def test_what_is_no_entry_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        event(data)


@given(bodies)
def test_the_database_takes_back_what_an_entry_tells(body: dict[str, Any]) -> None:
    told = event(entry(of(json.dumps(body, ensure_ascii=False))))
    with sqlite3.connect(":memory:") as db:
        assert db.execute("SELECT json_valid(?)", (told.body,)).fetchone() == (1,)
