"""What each address answers, asked over the wire."""

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin

import pytest

from agent.catalog import Catalog, intake
from agent.model import ClipState, Identity, Problem, SlotState, SourceClip, Step
from agent.words import words
from tests.web.station import Station, collecting, every_state, some_counts

HOSTILE = "<script>alert(1)</script>\u202e\n\udcff"


def test_status_tells_what_the_rooms_tell(station: Station) -> None:
    station.slots = [collecting()]
    station.counts = some_counts()
    shown = station.get("/status").json()
    assert shown["slots"][0]["files_done"] == 3
    assert shown["slots"][0]["eta_seconds"] == pytest.approx((3 << 30) / (30 << 20), abs=0.1)
    assert shown["slots"][0]["problems"] == [{"key": "still-recording", "params": {"path": "a.mp4"}}]
    assert shown["clips"]["confirmed"] == 7
    assert set(shown["clips"]) == set(ClipState)
    assert shown["queue"] == {"clips": 3, "bytes": 3 << 20}
    assert shown["ready"] is True


def test_a_hostile_name_leaves_the_station_as_harmless_text(station: Station) -> None:
    station.slots = [
        collecting(HOSTILE, recorder=HOSTILE, officer=HOSTILE, problems=(Problem("x", {"path": HOSTILE}),))
    ]
    answer = station.get("/status")
    slot = answer.json()["slots"][0]
    assert answer.headers["content-type"] == "application/json"
    for text in (slot["slot"], slot["recorder"], slot["officer"], slot["problems"][0]["params"]["path"]):
        assert text == "<script>alert(1)</script>\\u202e\\n\\udcff"


def test_ready_only_when_nothing_is_waited_for(station: Station) -> None:
    assert station.get("/readyz").status == 200
    station.waiting_for = ["catalog"]
    answer = station.get("/readyz")
    assert answer.status == 503
    assert answer.json() == {"ready": False, "waiting_for": ["catalog"]}
    assert station.get("/healthz").status == 200
    assert station.get("/status").json()["ready"] is False


def _see(catalog: Catalog, recorder: str, paths: list[str]) -> None:
    identity = Identity(recorder=recorder, assigned=True, fs_id=f"fs-{recorder}")

    def work(tx: Any) -> None:
        docking = intake.begin_docking(tx, "1", identity)
        intake.see(tx, docking, identity, [SourceClip(path=path, size=10, mtime_ns=1) for path in paths])

    catalog.write(work)


def test_clips_come_from_the_catalog_page_by_page(station: Station) -> None:
    _see(station.catalog, "1111111", ["a.mp4", "b.mp4", "c\udcff.mp4"])
    _see(station.catalog, "2222222", ["d.mp4"])
    everything = station.get_local("/clips").json()
    assert [clip["path"] for clip in everything] == ["a.mp4", "b.mp4", "c\\udcff.mp4", "d.mp4"]
    first = station.get_local("/clips?limit=3").json()
    rest = station.get_local(f"/clips?limit=3&after={first[-1]['id']}").json()
    assert first + rest == everything
    assert [clip["path"] for clip in station.get_local("/clips?recorder=2222222").json()] == ["d.mp4"]
    assert len(station.get_local("/clips?state=seen").json()) == 4
    assert station.get_local("/clips?state=confirmed").json() == []


@pytest.mark.parametrize(
    "query",
    [
        "state=lost",
        "state=",
        "recorder=",
        "limit=0",
        "limit=1001",
        "limit=-1",
        "limit=1e2",
        "limit=%D9%A3",
        "after=-1",
        "after=9223372036854775808",
        "after=" + "9" * 5000,
        "stat=seen",
    ],
)
def test_a_mistyped_filter_is_refused_and_never_lists_everything(station: Station, query: str) -> None:
    answer = station.get_local(f"/clips?{query}")
    assert answer.status == 400
    assert answer.json()["key"] == "bad-parameter"
    assert answer.json()["params"]["name"] in query or query == "stat=seen"


def test_nothing_can_be_changed_over_http(station: Station) -> None:
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/status", "/"):
            assert station.get(path, method=method).status == 405


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_opens_in_the_configured_language(station: Station, language: str) -> None:
    station.language = language
    page = station.get("/kiosk")
    for path in ("/kiosk", "/admin"):
        assert f'<html lang="{language}">'.encode() in station.get(path).body
    assert station.get("/").body == page.body
    assert station.get(f"/words/{language}.json").json() == words(language)


def test_an_unknown_language_has_no_words(station: Station) -> None:
    assert station.get("/words/de.json").status == 404
    assert station.get("/words/de/admin.json").status == 404
    assert station.get("/words/zh/nobody.json").status == 404
    assert station.get("/words/..%2F..%2Fsecret.json").status == 404


def views() -> list[str]:
    """Scripts that the admin page fetches when they are wanted: no page needs all of them."""
    folder = Path(__file__).parents[2] / "agent" / "web" / "static" / "admin"
    return [f"/static/admin/{file.name}" for file in folder.glob("*.js")]


@pytest.mark.parametrize("page", ["/", "/admin"])
def test_everything_that_a_page_loads_is_served_by_the_station(station: Station, page: str) -> None:
    seen: set[str] = set()
    size = 0
    wanted = [page, *(views() if page == "/admin" else ())]
    while wanted:
        path = wanted.pop()
        answer = station.get(path)
        assert answer.status == 200, path
        seen.add(path)
        size += len(answer.body)
        text = answer.body.decode()
        found = re.findall(r'(?:src|href)="([^"#]+)"', text) if path == page else []
        found += [urljoin(path, name) for name in re.findall(r'from "(\.[^"]+)"', text)]
        assert not [address for address in found if not address.startswith("/static/")]
        wanted += [address for address in found if address not in seen]
    assert {"/static/tile.js", "/static/words.js"} <= seen
    assert ({"/static/kiosk.js", "/static/kiosk.css"} if page == "/" else {"/static/admin/main.js"}) <= seen
    words_of = "admin" if page == "/admin" else "kiosk"
    size += max(len(station.get(f"/words/{language}/{words_of}.json").body) for language in ("zh", "en"))
    print(f"{page}: {size} bytes")
    assert size < 150_000


def test_the_page_runs_under_a_policy_without_inline_script(station: Station) -> None:
    for path in ("/", "/admin", "/status", "/static/kiosk.js", "/static/admin/main.js", "/nowhere"):
        headers = station.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers
    for path in ("/", "/admin"):
        page = station.get(path).body.decode()
        assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|style=|<style", page)


def test_the_page_puts_names_in_as_text_only() -> None:
    static = Path(__file__).parents[2] / "agent" / "web" / "static"
    sources = "".join(file.read_text() for file in static.rglob("*.js"))
    assert "textContent" in sources
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function", sources
    )


def test_every_step_of_a_slot_has_its_own_symbol_and_a_colour() -> None:
    static = Path(__file__).parents[2] / "agent" / "web" / "static"
    page, style = (static / "kiosk.html").read_text(), (static / "kiosk.css").read_text()
    drawn = dict(re.findall(r'<symbol id="icon-([\w-]+)"[^>]*>(.*?)</symbol>', page))
    assert set(drawn) == set(Step)
    assert len(set(drawn.values())) == len(drawn)
    coloured = set(re.findall(r'(?:^|, )\[data-step="([\w-]+)"\]', style, re.MULTILINE))
    assert coloured == set(Step) - {Step.EMPTY}


def test_the_receipt_of_what_stands_in_a_slot_is_a_code_to_scan_and_no_other_is(station: Station) -> None:
    station.slots = [collecting("1", state=SlotState.COLLECTED, docking=7)]
    for asked in ("7", "8", "0", "-7", "", "7e1", "9" * 400, "٧"):
        assert station.get(f"/kiosk/receipt.svg?docking={quote(asked)}").status == 404, asked
    station.receipts = {7: "RS1 station/a/1 3 4 AAAA BBBB", 8: "another one"}
    answer = station.get("/kiosk/receipt.svg?docking=7")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/svg+xml")
    assert answer.body.startswith(b"<?xml") and b"<path" in answer.body
    assert not re.search(rb"script|style=|href", answer.body)
    assert station.get("/kiosk/receipt.svg?docking=8").status == 404
    assert station.get("/kiosk/receipt.svg").status == 404


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:8080", "LOCALHOST:1", "[::1]:8080", "192.0.2.7"])
def test_the_station_answers_to_its_own_names_and_to_addresses(station: Station, host: str) -> None:
    assert station.get("/status", {"Host": host}).status == 200


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8080", "localhost.evil.example", ""])
def test_a_foreign_name_that_points_at_us_reads_nothing(station: Station, host: str) -> None:
    answer = station.get("/status", {"Host": host})
    assert answer.status in (400, 421)
    assert b"station" not in answer.body


def test_commands_on_the_socket_need_no_host_name(station: Station) -> None:
    assert station.get_local("/status", {"Host": "evil.example"}).status == 200


def test_status_of_every_state_is_json_without_surprises(station: Station) -> None:
    station.slots = [*every_state(), collecting("nan", problems=(Problem("x", {"f": float("nan")}),))]
    body = station.get("/status").body.decode()

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    assert len(json.loads(body, parse_constant=refuse)["slots"]) == len(SlotState) + 1
