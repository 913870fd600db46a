"""What changes anything is asked for at this machine, in full, and by somebody who is known."""

import os

import pytest

from tests.web.station import Station

ACCEPT = "/commands/target-accept"
GOOD = b'{"target": "centre", "place": "2"}'


def test_a_command_is_done_and_known_by_who_gave_it(station: Station) -> None:
    answer = station.get_local(ACCEPT, method="POST", body=GOOD)
    assert (answer.status, answer.json()) == (200, {"done": True})
    assert station.commands == [({"target": "centre", "place": "2"}, f"uid {os.getuid()}")]


@pytest.mark.parametrize("method", ["POST", "GET", "PUT", "DELETE"])
def test_over_the_network_nothing_can_be_changed(station: Station, method: str) -> None:
    assert station.get(ACCEPT, method=method).status in (403, 405)
    assert station.commands == []


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_a_command_is_never_given_by_looking(station: Station, method: str) -> None:
    assert station.get_local(ACCEPT, method=method, body=GOOD).status == 405
    assert station.commands == []


def test_an_unknown_command_is_refused(station: Station) -> None:
    answer = station.get_local("/commands/erase-everything", method="POST", body=b"{}")
    assert (answer.status, answer.json()["key"]) == (404, "not-found")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"1", b'{"target": 1}', b"\xff", b'{"a": "' + b"x" * (64 << 10) + b'"}', b"[" * 4000],
)
def test_arguments_that_are_none_are_refused(station: Station, body: bytes) -> None:
    answer = station.get_local(ACCEPT, method="POST", body=body)
    assert (answer.status, answer.json()["key"]) == (400, "bad-parameter")
    assert station.commands == []


def test_a_refusal_tells_why(station: Station) -> None:
    answer = station.get_local(ACCEPT, method="POST", body=b'{"target": "unknown"}')
    assert (answer.status, answer.json()) == (400, {"key": "no-such-target", "params": {"target": "unknown"}})


def test_an_answer_tells_what_there_is_to_tell(station: Station) -> None:
    answer = station.get_local("/commands/upload-slot", method="POST", body=b'{"slot": "A1"}')
    assert answer.json() == {"done": True, "recorder": "1234567", "clips": 12}


@pytest.mark.parametrize("argument", ["text", "person", "reason", "note", "lines", "password"])
def test_what_people_write_is_not_in_the_journal(
    station: Station, caplog: pytest.LogCaptureFixture, argument: str
) -> None:
    """It must be erasable, and a journal is not."""
    caplog.set_level("INFO")
    body = GOOD[:-1] + f', "{argument}": "geheim"}}'.encode()
    assert station.get_local(ACCEPT, method="POST", body=body).status == 200
    assert "target-accept" in caplog.text
    assert "geheim" not in caplog.text
