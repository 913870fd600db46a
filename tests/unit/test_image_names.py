"""A host name that DNS takes, out of whatever a station is called."""

import re
import socket
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.image.names import host_name
from agent.image.system import System

LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


@pytest.mark.parametrize(
    ("name", "host"),
    [
        ("station-01", "station-01"),
        ("East Gate 3", "east-gate-3"),
        ("110", "station-110"),
        ("东城一号", "station-3c15d8ee"),
        ("东站1", "station-1-a49efa0b"),
        ("x" * 64, f"station-{'x' * 46}-{sha256(b'x' * 64).hexdigest()[:8]}"),
        ("--", "station"),
    ],
)
def test_a_station_has_a_host_name_like_its_name(name: str, host: str) -> None:
    assert host_name(name) == host


def test_names_that_differ_in_chinese_alone_are_two_machines() -> None:
    assert host_name("东站1") != host_name("西站1")


@given(st.text(min_size=1, max_size=64))
def test_any_name_gives_one_label(name: str) -> None:
    assert LABEL.fullmatch(host_name(name))


def test_the_host_name_is_only_set_when_it_is_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    told: list[str] = []
    monkeypatch.setattr(socket, "sethostname", told.append)
    System().set_host_name(socket.gethostname())
    System().set_host_name("another")
    assert told == ["another"]
