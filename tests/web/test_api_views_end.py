"""A look at a recording that goes on while the world changes: it lasts no longer than who looks may look, and
takes no more of the station than its share."""

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.access.roles import Role
from agent.catalog import door, labels
from agent.catalog.home import catalog_path
from agent.model import ClipState
from agent.web.api.turns import AT_ONCE, MOST_OF_ONE
from tests.dockside import Dockside, recorder
from tests.web.outside import Outsider, account, certificate
from tests.web.station import Station
from tests.web.test_api_views import begin, clips, logged_in, looks

SIZE = 16 << 20  # more than lies between a server and who reads slowly
FILES = {
    "DCIM/8888888_000001_20260101120000_0001.mp4": SIZE,
    "DCIM/8888888_000001_20260101120100_0002.dat": 3000,
}


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    side = Dockside(tmp_path)
    side.dock(recorder(tmp_path / "rec", FILES))
    side.catalog.close()
    with Station(
        tmp_path / "store", lan=certificate(tmp_path), catalog_at=catalog_path(tmp_path / "store")
    ) as running:
        running.units = {"000001": ["ours"], "000002": ["theirs"]}
        account(running, "li", Role.REVIEWER, '["ours"]')
        account(running, "zhao", Role.REVIEWER, "all")
        yield running


class Fetching:
    """Somebody who asks for an address and takes as much of the answer as they like."""

    def __init__(self, who: Outsider, address: str) -> None:
        port = who._station.server.lan_port
        assert port is not None
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.settimeout(20)
        raw.connect(("127.0.0.1", port))
        self.tls = ssl.create_default_context(cafile=who._trusted).wrap_socket(
            raw, server_hostname="127.0.0.1"
        )
        self.tls.sendall(
            f"GET {address} HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {who.cookie}\r\n\r\n".encode()
        )
        self.status = int(self.tls.recv(1 << 10).split()[1])

    def take(self, size: int) -> int:
        """How many bytes there were; fewer than `size`: the answer has ended, or was cut off."""
        got = 0
        while got < size:
            try:
                piece = self.tls.recv(min(1 << 16, size - got))
            except (ConnectionError, ssl.SSLError):
                return got
            if not piece:
                return got
            got += len(piece)
        return got


@contextmanager
def fetching(who: Outsider, address: str) -> Iterator[Fetching]:
    one = Fetching(who, address)
    try:
        yield one
    finally:
        one.tls.close()


def relabelled(station: Station, clip: int, officer: str) -> None:
    facts = {"who": "zhao", "role": "custodian", "reason": ""}
    station.catalog.write(lambda tx: labels.put(tx, clip, {"officer": officer}, facts))


def set_aside(station: Station, clip: int) -> None:
    station.catalog.write(
        lambda tx: door.change(tx, clip, ClipState.STORED, ClipState.QUARANTINED, reason="rotten")
    )


@pytest.mark.parametrize("change", [lambda s, c: relabelled(s, c, "000002"), set_aside])
def test_a_view_ends_with_what_made_it_the_callers(
    station: Station, change: Callable[[Station, int], None]
) -> None:
    """The file lies where it lay, and the session goes on."""
    li, clip = logged_in(station, "li"), clips(station)["mp4"]
    address = begin(li, clip)["address"]
    assert li.ask(address, headers={"Range": "bytes=0-9"}).status == 206
    change(station, clip)
    assert li.ask(address, headers={"Range": "bytes=0-9"}).status == 404


@pytest.mark.parametrize("change", ["label", "logout"])
def test_a_long_answer_is_cut_off_when_it_is_not_for_who_fetches_it_any_more(
    station: Station, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr("agent.web.api.footage.LOOK", 0.0)
    li, clip = logged_in(station, "li"), clips(station)["mp4"]
    with fetching(li, begin(li, clip)["address"]) as one:
        assert one.status == 200 and one.take(100_000) == 100_000
        if change == "label":
            relabelled(station, clip, "000002")
        else:
            assert li.ask("/api/v1/session", "DELETE").status == 204
        assert one.take(SIZE) < SIZE - (1 << 20)


def test_a_long_answer_keeps_no_session_alive(station: Station, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.web.api.footage.LOOK", 0.0)
    li = logged_in(station, "li")
    with fetching(li, begin(li, clips(station)["mp4"])["address"]) as one:
        assert one.take(100_000) == 100_000
        for _ in range(4):
            station.now += 5 * 60.0
            one.take(500_000)
        assert one.take(SIZE) < SIZE - 4_000_000


def test_who_fetches_steadily_is_served_to_the_end_and_who_stops_is_cut_off(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.web.server._PATIENCE", 0.5)
    li = logged_in(station, "li")
    address = begin(li, clips(station)["mp4"])["address"]
    with fetching(li, address) as one:
        for _ in range(15):
            assert one.take(1 << 20) == 1 << 20
            time.sleep(0.2)
        assert one.take(SIZE) > (1 << 20) - 2000  # the rest; the headers were in what was taken first
    with fetching(li, address) as one:
        time.sleep(3)
        assert one.take(SIZE) < SIZE


def test_one_person_fetches_so_many_at_once_and_leaves_room_for_others(station: Station) -> None:
    li, zhao = logged_in(station, "li"), logged_in(station, "zhao")
    address = begin(li, clips(station)["mp4"])["address"]
    open_ones = [Fetching(li, address) for _ in range(MOST_OF_ONE)]
    try:
        assert {one.status for one in open_ones} == {200}
        again = logged_in(station, "li")  # another session is the same person
        refused = again.ask(begin(again, clips(station)["dat"])["address"])
        assert (refused.status, refused.json()["key"]) == (429, "recordings-busy")
        assert zhao.ask(begin(zhao, clips(station)["dat"])["address"]).status == 200
    finally:
        for one in open_ones:
            one.tls.close()
    end = time.monotonic() + 20
    while li.ask(address, headers={"Range": "bytes=0-0"}).status != 206:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_what_is_refused_gives_its_place_back(station: Station) -> None:
    li = logged_in(station, "li")
    view = begin(li, clips(station)["dat"])
    (path,) = (station.folder / "clips").rglob("*.dat")
    for _ in range(MOST_OF_ONE + 1):
        assert li.ask(view["address"], headers={"Range": "bytes=9999-"}).status == 416
    aside = path.rename(path.with_suffix(".aside"))
    for _ in range(MOST_OF_ONE + 1):
        assert li.ask(view["address"]).status == 404
    aside.rename(path)
    assert li.ask(view["address"]).status == 200


def test_nobody_fills_the_log_with_looks(station: Station) -> None:
    li, clip = logged_in(station, "li"), clips(station)["dat"]
    answers = [li.ask(f"/api/v1/clips/{clip}/story") for _ in range(AT_ONCE)]
    assert {one.status for one in answers} == {200}
    while (answer := li.ask(f"/api/v1/clips/{clip}/story")).status == 200:
        assert len(looks(station)) < AT_ONCE + 20
    assert (answer.status, answer.json()["key"]) == (429, "looks-busy")
    before = len(looks(station))
    assert li.ask(f"/api/v1/clips/{clip}/views", "POST", {}).status == 429
    assert len(looks(station)) == before
    assert logged_in(station, "zhao").ask(f"/api/v1/clips/{clip}/story").status == 200


@pytest.mark.parametrize(
    "said",
    [
        {"Sec-Fetch-Site": "none", "Sec-Fetch-Dest": "document"},  # an address in a letter
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "video"},  # a film that is a list of addresses
        {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Dest": "image"},
    ],
)
def test_no_address_is_a_look(station: Station, said: dict[str, str]) -> None:
    li, clip = logged_in(station, "li"), clips(station)["dat"]
    assert li.ask(f"/api/v1/clips/{clip}/story", headers=said).json()["key"] == "other-site"
    assert looks(station) == []
