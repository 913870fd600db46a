"""Recordings of a hostile recorder in a real Chromium: what they are named is not what they are. Nothing of
them runs, asks for anything or is looked at by itself, and the page says what it could not show."""

import ssl
from collections.abc import Callable, Iterator
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from playwright.sync_api import Error, Page, expect

from tests.browser.office import Office, login, there, until
from tests.browser.screen import Screen

Look = Callable[..., Screen]
NUMBER = "8880009"
SCRIPT = b"<script>alert(document.domain)</script><img src=x onerror=alert(1)>"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(2)"><script>alert(3)</script></svg>'
#: A head that says it is a film, and then a page: each reader finds what it looks for.
POLYGLOT = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom<!--" + b"-->" + SCRIPT
#: A box that is larger than any file, and one that is its own child without an end.
ENDLESS = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + (b"\x00\x00\x00\x01moov" + b"\xff" * 8) * 9
NESTED = b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"".join(
    (8 * (5000 - depth)).to_bytes(4, "big") + b"moov" for depth in range(5000)
)
ELSEWHERE = "https://127.0.0.2:9"


def listing(other: int) -> bytes:
    """A film that is a list of films: one of another machine, one a look at another clip."""
    parts = f"{ELSEWHERE}/a.ts", f"/api/v1/clips/{other}/story", "/api/v1/session"
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:4"]
    lines += [line for part in parts for line in ("#EXTINF:4,", part)]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


FILES = {
    "page.mp4": b"<!doctype html>" + SCRIPT,
    "picture.mp4": SVG,
    "both.mp4": POLYGLOT,
    "endless.mp4": ENDLESS,
    "nested.mp4": NESTED,
    "list.mp4": listing(1),
    "page.jpg": b"<!doctype html>" + SCRIPT,
    "picture.png": SVG,
    "page.webm": b"\x1aE\xdf\xa3" + SCRIPT,
    "page.html": b"<!doctype html>" + SCRIPT,
    "picture.svg": SVG,
    "script.js": b"alert(4)",
}


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with Office(tmp_path_factory.mktemp("hostile")) as made:
        names = made.agent.recorder(NUMBER, clips=1, size=400_000)
        film = (made.agent.shelf / NUMBER / names[0]).read_bytes()
        for name, data in FILES.items():
            (made.agent.shelf / NUMBER / name).write_bytes(data + name.encode())  # else they are one clip
        # The battery died: the index at its end is not there; or the end of what the index speaks of.
        (made.agent.shelf / NUMBER / "cut.mp4").write_bytes(film[: len(film) // 2])
        (made.agent.shelf / NUMBER / "stub.mp4").write_bytes(film[:100])
        made.agent.dock(NUMBER, "A1")
        made.agent.until_confirmed(len(FILES) + 3)
        yield made


def clips(office: Office) -> dict[str, int]:
    return {Path(row["path"]).name: int(row["id"]) for row in office.agent.clips()}


def opened(page: Page, office: Office, clip: int) -> str:
    """The address of the recording."""
    page.goto(f"{office.address}#clip/{clip}")
    with page.expect_response("**/views") as begun:
        there(page, "clip").locator("section button").first.click()
    expect(page.locator(".screen > *").first).to_be_visible()
    return str(begun.value.json()["address"])


def test_what_is_no_film_is_said_not_to_be_one_and_does_nothing(look: Look, office: Office) -> None:
    screen = look(office.address)
    page, known = login(screen, "li"), clips(office)
    for name in FILES:
        if not name.endswith((".mp4", ".jpg", ".png", ".webm")):
            continue
        opened(page, office, known[name])
        expect(page.locator(".screen [role=alert]"), name).to_contain_text("无法显示")
        assert page.locator(".screen :is(video, img, audio)").count() == 0, name
    assert screen.faults() == ""
    # The page goes on as before.
    page.locator("nav a[href='#clips']").click()
    expect(there(page, "clips").locator("tbody tr")).to_have_count(len(FILES) + 3)


def test_of_a_film_that_was_cut_short_what_there_is_plays_or_it_is_said(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "li")
    opened(page, office, clips(office)["cut.mp4"])
    until(
        page.locator(".screen"),
        """(place) => place.querySelector("[role=alert]") !== null
          || place.querySelector("video")?.readyState >= 1""",
    )
    opened(page, office, clips(office)["stub.mp4"])
    expect(page.locator(".screen [role=alert]")).to_contain_text("无法显示")
    assert screen.faults() == ""


def test_no_film_makes_anybody_look_or_fetch(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "sun")
    asked = list[str]()
    page.on("request", lambda request: asked.append(request.url))
    opened(page, office, clips(office)["list.mp4"])
    expect(page.locator(".screen [role=alert]")).to_be_visible()
    page.wait_for_timeout(500)
    assert not [url for url in asked if url.startswith(ELSEWHERE) or url.endswith("/clips/1/story")]


def test_opened_by_itself_nothing_of_a_file_runs(look: Look, office: Office) -> None:
    """Its address in a tab of its own, as who is curious types it: no dialog opens, which `look` sees."""
    screen = look(office.address)
    page, known = login(screen, "zhao"), clips(office)
    alone = page.context.new_page()
    alone.on("dialog", screen._told)
    for name in FILES:
        address = opened(page, office, known[name])
        try:
            alone.goto(f"{office.address.rstrip('/')}{address}")
        except Error as error:  # it is saved, not shown
            assert "Download is starting" in str(error) or "ERR_ABORTED" in str(error), name
        else:
            assert alone.locator("script").count() == 0, name
        # Framed, as a script or as a plug-in of a page of ours it does no more.
        page.evaluate(
            """(address) => ["iframe", "script", "embed"].forEach((tag) => {
              document.body.append(Object.assign(document.createElement(tag), { src: address })); })""",
            address,
        )
    page.wait_for_timeout(500)


def test_no_browser_keeps_footage_or_takes_it_for_something_else(look: Look, office: Office) -> None:
    screen = look(office.address)
    page = login(screen, "sun")
    for name in ("page.mp4", "page.html", "list.mp4"):
        address = opened(page, office, clips(office)[name])
        host = office.address.split("/")[2]
        asking = HTTPSConnection(host, context=ssl._create_unverified_context(), timeout=10)
        (cookie,) = [one for one in page.context.cookies() if one["name"] == "__Host-session"]
        asking.request("GET", address, headers={"Cookie": f"__Host-session={cookie['value']}"})
        headers = asking.getresponse().headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in headers["Content-Security-Policy"]
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
