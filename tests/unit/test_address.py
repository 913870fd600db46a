"""Where others find the pages: told only when others may come in."""

import ipaddress
import socket

import pytest

from agent.web.address import reachable


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_a_door_for_this_machine_alone_is_no_address(host: str) -> None:
    assert reachable(host, 8080) == ""


def test_a_door_that_did_not_open_is_no_address() -> None:
    assert reachable("192.0.2.7", None) == ""


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7:8080"),
        ("2001:db8::7", "[2001:db8::7]:8080"),
        ("station-7.example", "station-7.example:8080"),
    ],
)
def test_an_address_that_was_chosen_is_told_as_it_is(host: str, address: str) -> None:
    assert reachable(host, 8080) == address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", ""])
def test_a_door_on_every_address_is_told_as_one_of_this_machine(host: str) -> None:
    found = reachable(host, 8080)
    if found:  # without a network there is none
        at = ipaddress.ip_address(found.rpartition(":")[0].strip("[]"))
        assert not at.is_loopback
        assert not at.is_unspecified
        family = socket.AF_INET6 if at.version == 6 else socket.AF_INET
        with socket.socket(family) as own:
            own.bind((str(at), 0))


def test_without_a_network_a_door_on_every_address_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(self: socket.socket, address: object) -> None:
        raise OSError("network is unreachable")

    monkeypatch.setattr(socket.socket, "connect", unreachable)
    assert reachable("0.0.0.0", 8080) == ""
