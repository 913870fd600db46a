"""A look at a clip over the network: an entry first, then the story or the bytes, for one session alone."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agent.access.roles import Role
from agent.catalog.home import catalog_path
from agent.web.api.footage import MOST
from tests.dockside import Dockside, recorder
from tests.uploading import eventually
from tests.web.outside import Outsider, account, certificate
from tests.web.station import Station

FILES = {
    "DCIM/8888888_000001_20260101120000_0001.mp4": (MOST + 1000) // 100 * 100,
    "DCIM/8888888_000001_20260101120100_0002.dat": 3000,
    # More than what lies between a server and who does not read on: the buffers of both sockets (4 MiB here).
    "DCIM/8888888_000001_20260101120200_0003.wav": 16 << 20,
}


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    folder = tmp_path_factory.mktemp("views")
    side = Dockside(folder)
    side.dock(recorder(folder / "rec", FILES))
    side.catalog.close()
    with Station(
        folder / "store", lan=certificate(folder), catalog_at=catalog_path(folder / "store")
    ) as running:
        account(running, "li", Role.REVIEWER, "all")
        account(running, "zhao", Role.REVIEWER, "all")
        account(running, "qian", Role.REVIEWER, '["elsewhere"]')
        yield running


@pytest.fixture
def li(station: Station) -> Outsider:
    return logged_in(station, "li")


def logged_in(station: Station, name: str) -> Outsider:
    assert station.lan
    browser = Outsider(station, station.lan[0])
    assert browser.login(name).status == 200
    return browser


def clips(station: Station) -> dict[str, int]:
    rows = station.catalog.read().execute("SELECT path, id FROM clips")
    return {bytes(row[0]).decode()[-3:]: row[1] for row in rows.fetchall()}


def looks(station: Station) -> list[tuple[str, str]]:
    rows = station.catalog.read().execute("SELECT body FROM events WHERE kind = 'viewed' ORDER BY seq")
    found = [json.loads(row[0]) for row in rows.fetchall()]
    return [(one["what"], one["who"]) for one in found]


def begin(browser: Outsider, clip: int) -> Any:
    answer = browser.ask(f"/api/v1/clips/{clip}/views", "POST", {"reason": "复核"})
    assert answer.status == 201
    return answer.json()


def stored(station: Station, kind: str) -> bytes:
    (found,) = (station.folder / "clips").rglob(f"*.{kind}")
    return found.read_bytes()


def test_a_story_is_told_with_the_look_at_it_and_why_the_clip_is_kept(station: Station, li: Outsider) -> None:
    before, clip = len(looks(station)), clips(station)["mp4"]
    told = li.ask(f"/api/v1/clips/{clip}/story").json()
    assert looks(station)[before:] == [("story", "li")]
    assert [one["kind"] for one in told["events"]][:3] == ["seen", "copying", "stored"]
    last = told["events"][-1]
    assert (last["event"], last["kind"], last["texts"]["name"]) == (told["event"], "viewed", "li")
    assert told["clip"]["clip"] == clip and told["clip"]["officer"] == "000001"
    assert told["kept"]["hinders"][0] == {"key": "kept-unconfirmed", "params": {"state": "stored"}}
    assert told["digests"]["parts"] == 1
    assert str(station.folder) not in json.dumps(told)  # where the store lies is nobody's business


def test_who_may_not_see_a_clip_leaves_no_entry_and_learns_nothing(station: Station) -> None:
    before, clip, qian = looks(station), clips(station)["mp4"], logged_in(station, "qian")
    assert qian.ask(f"/api/v1/clips/{clip}/story").status == 404
    assert qian.ask(f"/api/v1/clips/{clip}/views", "POST", {}).status == 404
    assert looks(station) == before


def test_another_page_makes_nobody_look(station: Station, li: Outsider) -> None:
    before, clip = looks(station), clips(station)["mp4"]
    for site in ("cross-site", "same-site"):
        answer = li.ask(f"/api/v1/clips/{clip}/story", headers={"Sec-Fetch-Site": site})
        assert (answer.status, answer.json()["key"]) == (403, "other-site")
    assert looks(station) == before
    assert li.ask(f"/api/v1/clips/{clip}/story", headers={"Sec-Fetch-Site": "same-origin"}).status == 200


def test_a_recording_comes_whole_and_in_parts_under_a_policy_of_its_own(
    station: Station, li: Outsider
) -> None:
    before, data = len(looks(station)), stored(station, "mp4")
    view = begin(li, clips(station)["mp4"])
    assert looks(station)[before:] == [("recording", "li")]
    assert (view["size"], view["media"]) == (len(data), "video/mp4")
    whole = li.ask(view["address"])
    assert (whole.status, whole.body) == (200, data)
    assert whole.headers["content-type"] == "video/mp4"
    assert "sandbox" in whole.headers["content-security-policy"]
    assert "'self'" not in whole.headers["content-security-policy"]
    assert whole.headers["x-content-type-options"] == "nosniff"
    assert whole.headers["cache-control"] == "no-store"
    part = li.ask(view["address"], headers={"Range": "bytes=5-9"})
    assert (part.status, part.body) == (206, data[5:10])
    assert part.headers["content-range"] == f"bytes 5-9/{len(data)}"
    assert len(li.ask(view["address"], headers={"Range": "bytes=0-"}).body) == MOST
    behind = li.ask(view["address"], headers={"Range": f"bytes={len(data)}-"})
    assert (behind.status, behind.headers["content-range"]) == (416, f"bytes */{len(data)}")
    assert li.ask(view["address"], headers={"Range": "bytes=5-9", "If-Range": '"x"'}).status == 200
    assert len(looks(station)) == before + 1  # one look, however often a browser asks


def test_what_no_browser_plays_is_only_to_be_saved(station: Station, li: Outsider) -> None:
    clip = clips(station)["dat"]
    answer = li.ask(begin(li, clip)["address"])
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"] == f'attachment; filename="clip-{clip}.dat"'


def test_an_address_is_for_the_session_that_asked_for_it(station: Station, li: Outsider) -> None:
    address = begin(li, clips(station)["dat"])["address"]
    assert logged_in(station, "zhao").ask(address).status == 404
    assert logged_in(station, "li").ask(address).status == 404  # another session of the same person
    cookie = li.cookie
    assert li.ask("/api/v1/session", "DELETE").status == 204
    li.cookie = cookie
    assert li.ask(address).status == 401


def test_who_goes_away_in_the_middle_leaves_nothing_open(station: Station, li: Outsider) -> None:
    address = begin(li, clips(station)["wav"])["address"]
    folder = Path("/proc/self/fd")

    def opened() -> list[str]:
        found = []
        for one in folder.iterdir():
            with suppress(FileNotFoundError):  # closed meanwhile, by the server's threads
                found.append(str(one.readlink()))
        return [file for file in found if file.startswith(str(station.folder)) and ".wav" in file]

    context = ssl.create_default_context(cafile=li._trusted)
    with socket.create_connection(("127.0.0.1", station.server.lan_port or 0), timeout=10) as raw:
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with context.wrap_socket(raw, server_hostname="127.0.0.1") as tls:
            host = f"127.0.0.1:{station.server.lan_port}"
            tls.sendall(f"GET {address} HTTP/1.1\r\nHost: {host}\r\nCookie: {li.cookie}\r\n\r\n".encode())
            assert b"200" in tls.recv(100)
            time.sleep(1)  # as much as it can get rid of
            assert opened()
    assert li.ask("/healthz").status == 200
    eventually(lambda: not opened())


def test_a_recording_that_is_gone_is_told_and_no_look(station: Station, li: Outsider) -> None:
    before = looks(station)
    (path,) = (station.folder / "clips").rglob("*.dat")
    aside = path.rename(path.with_suffix(".aside"))
    try:
        answer = li.ask(f"/api/v1/clips/{clips(station)['dat']}/views", "POST", {})
        assert (answer.status, answer.json()["key"]) == (404, "clip-not-here")
        assert looks(station) == before
    finally:
        aside.rename(path)


def test_a_day_is_told_to_whom_it_concerns(station: Station, li: Outsider) -> None:
    today = date.today().isoformat()
    told = li.ask(f"/api/v1/handin?day={today}").json()
    assert [(one["recorder"], one["officer"]) for one in told["recorders"]] == [("8888888", "000001")]
    assert told == {**li.ask("/api/v1/handin").json(), "day": today}
    assert logged_in(station, "qian").ask(f"/api/v1/handin?day={today}").json()["recorders"] == []
    for wrong in ("0001-01-01", "9999-12-31", "yesterday"):
        assert li.ask(f"/api/v1/handin?day={wrong}").status == 400


def test_findings_and_clocks_are_told_to_whom_they_concern(station: Station, li: Outsider) -> None:
    row = {
        "rule": "vanished", "recorder": "8888888", "docking": 1, "facts": {"count": 3}, "found_at": 1.0,
        "state": "open", "looked": {"centre": {"at": 2.0, "left": 3}}, "changed_at": 1.0, "explained_by": "",
        "explanation": None,
    }  # fmt: skip
    (docking,) = station.catalog.read().execute("SELECT max(id) FROM dockings").fetchone()
    station.findings = [{**row, "finding": number, "docking": docking} for number in (3, 5, 9)]
    facts = {"recorder": "8888888", "dockings": 2, "docked": 1.0, "drift_seconds_a_day": [None, None]}
    station.clocks = {"8888888": {**facts, "ahead_seconds": [61.0, None], "wrong": True}}
    page = li.ask("/api/v1/findings?limit=2").json()
    assert ([one["finding"] for one in page["findings"]], page["next"]) == ([3, 5], "5")
    page = li.ask("/api/v1/findings?limit=2&cursor=5").json()
    assert ([one["finding"] for one in page["findings"]], page["next"]) == ([9], None)
    assert li.ask("/api/v1/clocks").json()["clocks"][0]["ahead_seconds"] == [61.0, None]
    qian = logged_in(station, "qian")
    assert qian.ask("/api/v1/findings").json()["findings"] == []
    assert qian.ask("/api/v1/clocks").json()["clocks"] == []


def test_a_station_that_keeps_no_log_shows_no_clip(station: Station, li: Outsider) -> None:
    command = station.ordered.pop("view")
    try:
        answer = li.ask(f"/api/v1/clips/{clips(station)['mp4']}/story")
        assert (answer.status, answer.json()["key"]) == (404, "no-log-yet")
    finally:
        station.ordered["view"] = command
