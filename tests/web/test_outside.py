"""From the network: only over TLS, only who may, and never so many that the rack is kept from its page."""

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette

from agent.access.roles import Role
from agent.web.rate import Rate
from tests.web.outside import PASSWORD, Outsider, account, certificate, token
from tests.web.station import Station, collecting


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    return certificate(tmp_path)[0]


@pytest.fixture
def station(tmp_path: Path, trusted: Path) -> Iterator[Station]:
    with Station(tmp_path, lan=(trusted, trusted.with_suffix(".key"))) as running:
        running.slots = [collecting()]
        yield running


def test_somebody_logs_in_looks_and_goes(station: Station, trusted: Path) -> None:
    account(station, "wang", Role.INSPECTOR)
    browser = Outsider(station, trusted)
    assert browser.ask("/api/v1/status").status == 401
    came = browser.login("wang")
    assert came.status == 200 and came.json()["role"] == "inspector"
    for part in ("__Host-session=", "HttpOnly", "Secure", "SameSite=strict", "Path=/"):
        assert part in came.headers["set-cookie"]
    assert browser.ask("/api/v1/status").json()["slots"][0]["recorder"] == "8888888"
    cookie = browser.cookie
    went = browser.ask("/api/v1/session", "DELETE")
    assert went.status == 204 and "Secure" in went.headers["set-cookie"]  # else no browser takes it away
    browser.cookie = cookie
    assert browser.ask("/api/v1/status").status == 401


def test_a_wrong_password_is_refused_alike_whoever_it_is_and_at_last_for_a_while(
    station: Station, trusted: Path
) -> None:
    account(station, "wang", Role.INSPECTOR)
    told = [
        Outsider(station, trusted).login(name, "not the one at all").json() for name in ("wang", "nobody")
    ]
    assert [one["key"] for one in told] == ["login-failed", "login-failed"]
    answers = [Outsider(station, trusted).login("wang", "still not the one") for _ in range(6)]
    assert answers[-1].status == 429 and answers[-1].json()["key"] == "locked-out"
    assert Outsider(station, trusted).login("wang").status == 429
    station.now += 16 * 60
    assert Outsider(station, trusted).login("wang").status == 200


def test_a_machine_sees_the_state_and_nobodys_name(station: Station, trusted: Path) -> None:
    machine = Outsider(station, trusted, token(station, "prometheus"))
    shown = machine.ask("/api/v1/status")
    assert (
        shown.status == 200 and "8888888" not in shown.body.decode() and "000123" not in shown.body.decode()
    )
    assert machine.ask("/api/v1/clips").status == 403
    assert Outsider(station, trusted, "rst_" + "a" * 43).ask("/api/v1/status").status == 401
    station.access.commands()["token-revoke"]({"name": "prometheus"}, "uid 0")
    assert machine.ask("/api/v1/status").status == 401


@pytest.mark.parametrize("path", ["/kiosk", "/kiosk/receipt.svg", "/status", "/clips", "/findings"])
def test_what_is_for_the_rack_or_this_machine_is_not_for_the_network(
    station: Station, trusted: Path, path: str
) -> None:
    assert Outsider(station, trusted).ask(path).status in (401, 403)


@pytest.mark.parametrize("name", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via"])
def test_whom_a_proxy_on_this_machine_brings_does_not_stand_at_the_rack(station: Station, name: str) -> None:
    brought = {name: "10.0.0.7"}
    assert station.get("/status", brought).status == 401
    assert station.get("/metrics", brought).status == 401
    assert station.get("/kiosk", brought).status == 403


def test_another_sites_page_can_order_nothing_with_somebodys_session(station: Station, trusted: Path) -> None:
    account(station, "wang", Role.CUSTODIAN, "all")
    browser = Outsider(station, trusted)
    browser.login("wang")
    for origin in ("https://elsewhere.example", "null", ""):
        answer = browser.ask("/api/v1/retry", "POST", {}, {"Origin": origin})
        assert answer.status == 403 and answer.json()["key"] == "other-site"
    assert station.commands == []
    assert browser.ask("/api/v1/retry", "POST", {}).status == 200
    assert station.commands == [({}, "wang")]


def test_a_login_from_another_sites_page_is_refused(station: Station, trusted: Path) -> None:
    account(station, "wang", Role.INSPECTOR)
    said = {"name": "wang", "password": PASSWORD}
    answer = Outsider(station, trusted).ask(
        "/api/v1/session", "POST", said, {"Origin": "https://elsewhere.example"}
    )
    assert answer.status == 403 and "set-cookie" not in answer.headers


def test_nothing_is_told_without_tls(station: Station) -> None:
    assert station.server.lan_port is not None
    with socket.create_connection(("127.0.0.1", station.server.lan_port), timeout=10) as plain:
        plain.sendall(b"GET /api/v1/status HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert plain.recv(100) == b""


def test_a_thousand_that_come_and_ask_nothing_keep_nobody_out(station: Station, trusted: Path) -> None:
    """Of the rack's own page not at all; over the network for as long as the patience lasts."""
    context = ssl.create_default_context(cafile=trusted)
    crowd: list[socket.socket] = []
    try:
        for _ in range(300):
            raw = socket.create_connection(("127.0.0.1", station.server.lan_port or 0), timeout=10)
            with suppress(OSError):  # there is no place for all of them
                crowd.append(context.wrap_socket(raw, server_hostname="127.0.0.1"))
        for _ in range(700):
            crowd.append(socket.create_connection(("127.0.0.1", station.server.lan_port or 0), timeout=10))
        for path in ("/healthz", "/status"):
            assert station.get(path).status == 200
            assert station.get_local(path).status == 200
    finally:
        for one in crowd:
            one.close()


def test_who_sends_a_request_letter_by_letter_is_not_waited_for(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.web.server._PATIENCE", 0.5)
    with socket.create_connection(("127.0.0.1", station.server.port or 0), timeout=10) as slow:
        slow.sendall(b"GET /status HTTP/1.1\r\nHost: 127")
        began = time.monotonic()
        with pytest.raises(OSError):
            if slow.recv(100) == b"":
                raise ConnectionResetError
        assert time.monotonic() - began < 9


def _is_closed(asked: socket.socket) -> bool:
    try:
        return asked.recv(100) == b""
    except ConnectionError:
        return True


@pytest.mark.parametrize(
    "begun",
    [
        b"G",
        b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
        b"Content-Length: 100\r\n\r\n{",
    ],
    ids=["its first letter", "its body"],
)
def test_a_later_request_that_never_ends_is_not_waited_for_either(
    station: Station, monkeypatch: pytest.MonkeyPatch, begun: bytes
) -> None:
    monkeypatch.setattr("agent.web.server._PATIENCE", 0.5)
    with socket.create_connection(("127.0.0.1", station.server.port or 0), timeout=9) as slow:
        slow.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        answer = b""
        while b'"alive":true' not in answer:
            answer += slow.recv(4096)
        slow.sendall(begun)
        assert _is_closed(slow)


def test_one_address_cannot_take_every_place_not_even_before_it_has_said_a_word(
    station: Station, trusted: Path
) -> None:
    door = ("127.0.0.1", station.server.lan_port or 0)
    crowd: list[socket.socket] = []
    try:
        for _ in range(150):
            crowd.append(socket.create_connection(door, timeout=5))
        assert all(_is_closed(one) for one in crowd[100:])
        context = ssl.create_default_context(cafile=trusted)
        other = socket.create_connection(door, timeout=5, source_address=("127.0.0.2", 0))
        with context.wrap_socket(other, server_hostname="127.0.0.1") as asking:
            asking.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            assert asking.recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for one in crowd:
            one.close()


def test_a_body_that_no_order_needs_is_not_taken_in(station: Station) -> None:
    """It would lie in the memory of the agent, whoever sends it."""
    with socket.create_connection(("127.0.0.1", station.server.port or 0), timeout=9) as flood:
        flood.sendall(
            b"POST /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(5):
            flood.sendall(b"8000\r\n" + b"x" * 0x8000 + b"\r\n")
        assert flood.recv(100).startswith(b"HTTP/1.1 413")  # before its end


def test_slow_answers_over_the_network_keep_nobody_at_the_rack_waiting(
    station: Station, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, machine = threading.Event(), Outsider(station, trusted, token(station, "prometheus"))
    slow = threading.Barrier(5)  # as many as there are threads, and this one

    def hangs(_: str) -> None:
        slow.wait(9)
        go_on.wait(9)

    monkeypatch.setattr(station.access, "token", hangs)
    crowd = [threading.Thread(target=machine.ask, args=("/api/v1/status",)) for _ in range(4)]
    try:
        for one in crowd:
            one.start()
        slow.wait(9)
        assert station.get("/status").status == 200
        assert station.get_local("/status").status == 200
    finally:
        go_on.set()
        for one in crowd:
            one.join()


def test_a_flood_from_one_address_is_slowed_and_the_commands_and_the_rack_go_on(
    station: Station, trusted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.web.rate._AT_ONCE", 20.0)
    monkeypatch.setattr("agent.web.rate._PER_SECOND", 0.001)
    browser = Outsider(station, trusted)
    assert [browser.ask("/healthz").status for _ in range(25)] == [200] * 20 + [429] * 5
    assert station.get_local("/status").status == 200
    assert station.get("/status").status == 200


def test_a_machine_with_a_network_of_addresses_is_slowed_as_one() -> None:
    rate = Rate(Starlette(), lambda: 0.0)

    async def asked(number: int) -> int:
        told = list[Any]()

        async def send(message: Any) -> None:
            told.append(message)

        client = (f"2001:db8::{number:x}", 1)
        scope = {
            "scheme": "https",
            "type": "http",
            "method": "GET",
            "path": "/",
            "headers": [],
            "client": client,
        }
        await rate(scope, None, send)  # type: ignore[arg-type]
        return int(told[0]["status"])

    async def crowd() -> list[int]:
        return [await asked(number) for number in range(300)]

    assert asyncio.run(crowd()).count(429) == 100


def test_a_certificate_that_cannot_be_used_is_told_and_the_rack_has_its_page(tmp_path: Path) -> None:
    broken = tmp_path / "broken.crt"
    broken.write_text("no certificate")
    with Station(tmp_path, lan=(broken, broken)) as station:
        assert [problem.key for problem in station.server.problems()] == ["web-certificate-failed"]
        assert station.get("/healthz").status == 200
