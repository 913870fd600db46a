"""Which bytes of which file are sent to who looks at a recording, and for how long."""

import os
from pathlib import Path

import pytest

from agent.custody.evidence.footage import opened
from agent.errors import Reject
from agent.web.api import footage
from agent.web.api.footage import MEDIA, MOST, OTHER, NoSuchBytes, Span, media, span, suffix
from agent.web.api.views import LASTS, MOST_OF_ONE, Views
from agent.web.api.views import MOST as MOST_VIEWS


@pytest.mark.parametrize(
    ("header", "wanted"),
    [
        ("", None),
        ("bytes=0-", Span(0, 100)),
        ("bytes=0-0", Span(0, 1)),
        ("bytes=10-19", Span(10, 20)),
        (" bytes=90-9999999999999999999", Span(90, 100)),
        ("bytes=-1", Span(99, 100)),
        ("bytes=-500", Span(0, 100)),
        ("bytes=5-4", None),
        ("bytes=-", None),
        ("bytes=0-1,4-5", None),
        ("bytes=a-b", None),
        ("bytes=٣-", None),
        ("bytes=00000000000000000000000-", None),
        ("lines=0-1", None),
    ],
)
def test_a_part_is_what_was_asked_for_and_never_beyond_the_file(header: str, wanted: Span | None) -> None:
    assert span(header, 100) == wanted


@pytest.mark.parametrize(
    ("header", "size"), [("bytes=100-", 100), ("bytes=-0", 100), ("bytes=0-", 0), ("bytes=-5", 0)]
)
def test_what_lies_behind_the_end_is_not_there(header: str, size: int) -> None:
    with pytest.raises(NoSuchBytes):
        span(header, size)


def test_one_answer_holds_no_more_than_its_share() -> None:
    assert span("bytes=7-", 1 << 40) == Span(7, 7 + MOST)
    assert span(f"bytes=0-{1 << 39}", 1 << 40) == Span(0, MOST)


def test_a_browser_is_told_a_type_of_the_list_or_none() -> None:
    assert (media("a.MP4"), media("a.jpg")) == ("video/mp4", "image/jpeg")
    for name in (
        "a.html",
        "a.svg",
        "a.js",
        "a.mp4.html",
        "mp4",
        "a",
        "a.xml",
        "a.pdf",
        "a.mp4\n",
        'a."x',
        ".mp4",
    ):
        assert media(name) == OTHER, name
    assert all(kind.startswith(("video/", "image/", "audio/")) for kind in MEDIA.values())
    assert [suffix(name) for name in ("x.AVI", 'x."b', "x.ünï", "x.verylongone", "x")] == [
        ".avi",
        "",
        "",
        "",
        "",
    ]
    assert "sandbox" in footage.POLICY and "default-src 'none'" in footage.POLICY


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store" / "clips" / "R1" / "2026-01-01"
    folder.mkdir(parents=True)
    (folder / "a.mp4").write_bytes(b"recording")
    (tmp_path / "secret").write_bytes(b"secret")
    (folder / "link.mp4").symlink_to(tmp_path / "secret")
    (folder.parent / "linked").symlink_to(folder)
    os.mkfifo(folder / "pipe.mp4")
    return tmp_path / "store"


def test_a_recording_is_opened_where_it_lies(store: Path) -> None:
    found = opened(store, 1, "R1/2026-01-01/a.mp4")
    assert os.read(found, 100) == b"recording"
    os.close(found)


@pytest.mark.parametrize(
    "key",
    [
        "R1/2026-01-01/link.mp4",
        "R1/linked/a.mp4",
        "R1/2026-01-01/pipe.mp4",
        "R1/2026-01-01",
        "R1/2026-01-01/gone.mp4",
        "R1/../R1/2026-01-01/a.mp4",
        "../../secret",
        "/etc/passwd",
        "R1//2026-01-01/a.mp4",
        "",
        ".",
    ],
)
def test_no_way_leads_out_of_the_store_and_nothing_but_files_is_opened(store: Path, key: str) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(Reject, match="clip-not-here"):
        opened(store, 1, key)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_view_is_for_who_began_it_and_ends() -> None:
    now = [0.0]
    views = Views(lambda: now[0])
    secret = views.begin(7, "R1/a.mp4", "li")
    assert len(secret) == 43
    assert views.of(secret, "li").key == "R1/a.mp4"
    for wrong, who in ((secret, "zhao"), (secret[:-1] + "_", "li"), ("", "li"), ("\udcff", "li")):
        with pytest.raises(Reject, match="no-such-view"):
            views.of(wrong, who)
    now[0] = LASTS - 0.01
    assert views.of(secret, "li").clip == 7
    now[0] = LASTS
    with pytest.raises(Reject, match="no-such-view"):
        views.of(secret, "li")


def test_views_are_bounded_and_the_oldest_ends_first() -> None:
    views = Views(lambda: 0.0)
    other = views.begin(1, "k", "zhao")
    mine = [views.begin(1, "k", "li") for _ in range(MOST_OF_ONE + 1)]
    assert views.of(other, "zhao") and views.of(mine[1], "li")
    with pytest.raises(Reject):
        views.of(mine[0], "li")
    for number in range(MOST_VIEWS):
        views.begin(1, "k", f"somebody {number}")
    with pytest.raises(Reject):
        views.of(other, "zhao")
    assert len(views._all) == MOST_VIEWS
