"""Both doors, and what happens when one cannot be opened."""

import os
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.web import WebServer
from tests.web.station import Station


def test_both_doors_lead_to_the_same_station(station: Station) -> None:
    assert station.get("/status").json()["station"] == "Test station"
    assert station.get_local("/status").json()["station"] == "Test station"
    assert station.server.alive
    assert station.server.problems() == []


def test_only_user_and_group_may_use_the_commands_socket(station: Station) -> None:
    assert stat.S_IMODE(station.socket.stat().st_mode) == 0o660


def test_the_socket_of_an_agent_that_was_killed_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "run" / "agent.sock"
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with Station(tmp_path) as station:
        assert station.get_local("/healthz").status == 200


def test_a_running_agents_socket_is_never_taken_over(station: Station, tmp_path: Path) -> None:
    second = WebServer(Starlette(), "127.0.0.1", 0, station.socket)
    second.start()
    assert [problem.key for problem in second.problems()] == ["web-socket-failed"]
    assert second.stop(10)
    assert station.get_local("/healthz").status == 200


def test_a_file_in_the_sockets_place_is_never_removed(tmp_path: Path) -> None:
    place = tmp_path / "precious"
    place.write_text("kept")
    server = WebServer(Starlette(), "127.0.0.1", 0, place)
    server.start()
    assert [problem.key for problem in server.problems()] == ["web-socket-failed"]
    assert server.stop(10)
    assert place.read_text() == "kept"


def test_stopping_removes_the_socket_and_frees_the_port(tmp_path: Path) -> None:
    with Station(tmp_path) as station:
        port = station.server.port
        assert port
    assert not station.socket.exists()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind(("127.0.0.1", port))


def test_stopping_leaves_a_newer_agents_socket_alone(tmp_path: Path) -> None:
    with Station(tmp_path) as station:
        station.socket.unlink()
        with socket.socket(socket.AF_UNIX) as newer:
            newer.bind(str(station.socket))
            newer.listen()
            assert station.server.stop(10)
            assert station.socket.exists()


def test_a_taken_port_is_an_issue_and_the_commands_still_work(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        with Station(tmp_path, port=other.getsockname()[1]) as station:
            assert station.server.port is None
            issues = station.get_local("/status").json()["health"]
    assert [(issue["key"], issue["severity"]) for issue in issues] == [("web-port-taken", "warning")]
    assert issues[0]["params"]["reason"] == os.strerror(98)


def test_with_both_doors_shut_start_and_stop_still_return(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        (tmp_path / "file").write_text("")
        server = WebServer(Starlette(), "127.0.0.1", other.getsockname()[1], tmp_path / "file" / "agent.sock")
        server.start()
    assert {problem.key for problem in server.problems()} == {"web-port-taken", "web-socket-failed"}
    assert not server.alive
    assert server.stop(10)


def test_a_server_that_is_stopped_at_once_ends(tmp_path: Path) -> None:
    for _ in range(10):
        server = WebServer(Starlette(), "127.0.0.1", 0, tmp_path / "agent.sock")
        server.start()
        assert server.stop(10)


def test_idle_connections_do_not_hold_up_the_stop(tmp_path: Path) -> None:
    with Station(tmp_path) as station:
        idle = [socket.create_connection(("127.0.0.1", station.server.port or 0)) for _ in range(20)]
        idle[0].sendall(b"GET /status HTTP/1.1\r\nHost: local")
        assert station.get("/healthz").status == 200
    for connection in idle:
        connection.close()


def test_an_answer_under_way_is_finished_before_the_end(tmp_path: Path) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def slow(request: Request) -> Response:
        asked.set()
        go_on.wait(10)
        return JSONResponse("whole")

    server = WebServer(Starlette(routes=[Route("/", slow)]), "127.0.0.1", 0, tmp_path / "agent.sock")
    server.start()
    with socket.create_connection(("127.0.0.1", server.port or 0), timeout=10) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert asked.wait(10)
        stopping = threading.Thread(target=server.stop, args=(10,))
        stopping.start()
        go_on.set()
        answer = b"".join(iter(lambda: client.recv(4096), b""))
        stopping.join()
    assert answer.endswith(b'"whole"')
    assert not server.alive


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[WebServer]:
    """Answers with who it takes the client for."""

    def who(request: Request) -> Response:
        return JSONResponse(request.scope["client"])

    server = WebServer(Starlette(routes=[Route("/", who)]), "127.0.0.1", 0, tmp_path / "agent.sock")
    server.start()
    yield server
    assert server.stop(10)


_ASK = """
import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    s.sendall(b"GET / HTTP/1.1\\r\\nHost: x\\r\\nX-Forwarded-For: 1.2.3.4\\r\\nConnection: close\\r\\n\\r\\n")
    print(b"".join(iter(lambda: s.recv(4096), b"")).decode().rsplit("\\n", 1)[1])
"""


def test_the_kernel_tells_who_is_at_the_other_end_of_the_socket(mirror: WebServer, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _ASK, str(tmp_path / "agent.sock")]
    said = subprocess.run(command, capture_output=True, text=True, check=True)
    assert said.stdout.strip() == f'["uid",{os.getuid()}]'


def test_nobody_on_tcp_can_pass_for_a_local_user(mirror: WebServer) -> None:
    with socket.create_connection(("127.0.0.1", mirror.port or 0), timeout=10) as client:
        client.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: uid:0\r\nX-Forwarded-Proto: https\r\n"
            b"Forwarded: for=uid\r\nConnection: close\r\n\r\n"
        )
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert b'["127.0.0.1",' in answer
