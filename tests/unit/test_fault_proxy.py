"""The bad network does what its rules say, and nothing else."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests.servers.faults import Fault, Flip, HalfOpen, LoseResponse, Reply, Reset, Rule, Slow, Stall

from tests.servers.faults import retry_after, s3_error  # isort: skip
from tests.servers.proxy import FaultProxy
from tests.servers.tiny import Quiet, Store
from tests.uploading import content, eventually

DATA = content(200_000)


@pytest.fixture
def store() -> Iterator[type[Store]]:
    class Fresh(Store):
        pass

    Fresh.got, Fresh.broken = {"/there": DATA}, []
    with Quiet(("127.0.0.1", 0), Fresh) as server:
        Fresh.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Fresh
        server.shutdown()
        thread.join()


@pytest.fixture
def proxy(store: type[Store]) -> Iterator[FaultProxy]:
    with FaultProxy(store.port) as running:
        yield running


@pytest.fixture
def client() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        yield session


def faults(proxy: FaultProxy) -> list[Fault | None]:
    return [seen.fault for seen in proxy.seen]


def test_without_a_rule_all_passes_as_it_is(proxy: FaultProxy, client: requests.Session) -> None:
    assert client.put(f"{proxy.url}/a?b=c", data=DATA).content == b"kept"
    assert client.get(f"{proxy.url}/a?b=c").content == DATA
    assert client.head(f"{proxy.url}/a?b=c").headers["Content-Length"] == str(len(DATA))
    first = proxy.seen[0]
    assert (first.method, first.target, first.received) == ("PUT", "/a?b=c", len(DATA))
    assert "content-length" in first.headers
    assert proxy.count("PUT|HEAD", r"b=c$") == 2
    assert faults(proxy) == [None] * 3


def test_a_rule_strikes_the_nth_request_that_matches(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.add(Rule(Reply(503), "PUT", "^/x", nth=2, times=2))
    answers = [client.put(f"{proxy.url}/x", data=b"1").status_code for _ in range(4)]
    assert answers == [200, 503, 503, 200]
    proxy.clear()
    assert client.get(f"{proxy.url}/x").content == b"1"


@pytest.mark.parametrize("after", [0, 1, 100_000, len(DATA)])
def test_a_reset_reaches_both_sides(
    proxy: FaultProxy, store: type[Store], client: requests.Session, after: int
) -> None:
    proxy.add(Rule(fault := Reset(after)))
    with pytest.raises(requests.ConnectionError):
        client.put(f"{proxy.url}/a", data=DATA)
    eventually(lambda: bool(store.broken or store.got.get("/a")))
    assert store.broken == [(after, True)] or after == len(DATA)
    assert faults(proxy) == [fault]


def test_an_answer_is_reset_within_its_body(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.add(Rule(Reset(1000, "out")))
    answer = client.get(f"{proxy.url}/there", stream=True)
    assert answer.raw.read(1000) == DATA[:1000]
    with pytest.raises(Exception, match=r"reset|broken|Incomplete"):
        answer.raw.read(1)


@pytest.mark.parametrize("way", ["in", "out"])
def test_a_stalled_connection_stays_open(
    proxy: FaultProxy, store: type[Store], client: requests.Session, way: str
) -> None:
    proxy.add(Rule(Stall(1000, "in" if way == "in" else "out")))
    with pytest.raises(requests.RequestException, match="timed out"):
        if way == "in":
            client.put(f"{proxy.url}/a", data=DATA, timeout=0.3)
        else:
            client.get(f"{proxy.url}/there", timeout=0.3)
    assert not store.broken


def test_of_a_half_open_connection_the_server_hears_nothing(
    proxy: FaultProxy, store: type[Store], client: requests.Session
) -> None:
    proxy.add(Rule(HalfOpen(1000)))
    with pytest.raises(requests.ConnectionError):
        client.put(f"{proxy.url}/a", data=DATA)
    time.sleep(0.2)
    assert not store.broken
    proxy.end_half_open()
    eventually(lambda: store.broken == [(1000, True)])


def test_a_lost_response_is_of_a_request_that_was_served(
    proxy: FaultProxy, store: type[Store], client: requests.Session
) -> None:
    proxy.add(Rule(fault := LoseResponse()))
    with pytest.raises(requests.ConnectionError):
        client.put(f"{proxy.url}/a", data=DATA)
    assert store.got["/a"] == DATA
    assert faults(proxy) == [fault]


@pytest.mark.parametrize("at", [0, 100_000, len(DATA) - 1])
def test_one_bit_is_flipped(proxy: FaultProxy, store: type[Store], client: requests.Session, at: int) -> None:
    flipped = DATA[:at] + bytes([DATA[at] ^ 4]) + DATA[at + 1 :]
    proxy.add(Rule(Flip(at, bit=2), "PUT"))
    proxy.add(Rule(Flip(at, "out", bit=2), "GET"))
    assert client.put(f"{proxy.url}/a", data=DATA).ok
    assert store.got["/a"] == flipped
    assert client.get(f"{proxy.url}/there").content == flipped


def test_a_slow_link_takes_its_time(proxy: FaultProxy, client: requests.Session) -> None:
    proxy.add(Rule(Slow(400_000), times=2))
    began = time.monotonic()
    assert client.put(f"{proxy.url}/a", data=DATA).ok
    assert client.get(f"{proxy.url}/a").content == DATA
    assert time.monotonic() - began >= 2 * len(DATA) / 400_000


def test_canned_answers_never_reach_the_server(
    proxy: FaultProxy, store: type[Store], client: requests.Session
) -> None:
    proxy.add(Rule(retry_after(429, 7)))
    proxy.add(Rule(s3_error("SlowDown")))
    proxy.add(Rule(Reply(507, early=True)))
    answers = [client.put(f"{proxy.url}/a", data=DATA) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [429, 503, 507]
    assert answers[0].headers["Retry-After"] == "7"
    assert b"<Code>SlowDown</Code>" in answers[1].content
    assert "/a" not in store.got


def test_an_early_answer_comes_before_the_body(proxy: FaultProxy) -> None:
    proxy.add(Rule(Reply(413, early=True, reset=True)))
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as raw:
        raw.sendall(b"PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 413 ")
        with pytest.raises(ConnectionResetError):
            raw.recv(1)
