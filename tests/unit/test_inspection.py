"""A sample for inspection is drawn by chance, from a head that anybody can draw it from again."""

import base64
import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from agent.cli import app
from agent.custody.inspection.orders import Order, commands, sample
from agent.custody.inspection.sample import By, Stored, draw
from agent.custody.log.keeper import Keeper
from agent.custody.log.reading import Log
from agent.custody.texts import Texts
from agent.custody.verifier import Head
from agent.errors import Reject
from tests.custody_house import STATION
from tests.dockside import Dockside, recorder, sent_again

HEAD = Head("station/1/1", 500, bytes(32))
NAMES = [f"DCIM/8888888_000001_202601{day:02}12{n:02}00_{n:04}.mp4" for day in (1, 2, 3) for n in range(6)]


def population(recorders: int, clips: int) -> list[Stored]:
    return [
        Stored(n + 1, n, f"{n % recorders:07}/2026-01-{n % 28 + 1:02}/{n}.mp4", f"{n:064x}")
        for n in range(clips)
    ]


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    made = Dockside(tmp_path / "station")
    made.dock(recorder(tmp_path / "rec", {name: 100 + n for n, name in enumerate(NAMES)}))
    keeper = Keeper(made.catalog, made.store.root / "custody", STATION)
    while keeper.step():
        pass
    yield made
    made.close()


@given(
    recorders=st.integers(1, 9), clips=st.integers(0, 200), count=st.integers(1, 20), by=st.sampled_from(By)
)
def test_every_stratum_is_drawn_from_and_none_twice(recorders: int, clips: int, count: int, by: By) -> None:
    everything = population(recorders, clips)
    drawn = draw(HEAD, everything, by, count)
    assert len({clip.seq for clip in drawn}) == len(drawn)
    there = Counter(clip.stratum(by) for clip in everything)
    assert Counter(clip.stratum(by) for clip in drawn) == {name: min(count, n) for name, n in there.items()}
    assert draw(HEAD, reversed(everything), by, count) == drawn  # whatever order they come in


def test_another_head_draws_others_and_each_clip_is_as_likely() -> None:
    times = Counter[int]()
    for size in range(2000):
        drawn = draw(Head("station/1/1", size, bytes(32)), population(1, 20), By.NONE, 5)
        times.update(clip.clip for clip in drawn)
    assert set(times) == set(range(20))
    assert all(400 < drawn < 600 for drawn in times.values())  # 500 expected, five deviations are 97


def test_the_draw_is_what_the_documents_say(side: Dockside) -> None:
    """By another program, from nothing but the log."""
    made = sample(side.catalog.read(), side.store.root / "custody", Order(2, By.DAY))
    log = Log(side.store.root / "custody" / "1")
    origin, size, root = log.origin, log.head.size, base64.b64encode(log.head.root).decode()
    seed = hashlib.sha256(f"recorder-station draw 1\n{origin}\n{size}\n{root}\n".encode()).digest()
    days: dict[str, list[tuple[bytes, str]]] = {}
    for index in range(size):
        entry = json.loads(log.entry(index))
        if entry["kind"] == "stored":
            place = hashlib.sha256(seed + str(entry["seq"]).encode()).digest()
            days.setdefault(entry["body"]["key"].split("/")[1], []).append((place, entry["body"]["sha256"]))
    expected = [sha256 for _, lot in sorted(days.items()) for _, sha256 in sorted(lot)[:2]]
    assert [clip.sha256 for clip in made.clips] == expected
    assert len(expected) == 6


def test_a_draw_can_be_repeated_later_from_the_same_head(side: Dockside, tmp_path: Path) -> None:
    folder = side.store.root / "custody"
    ask = commands(side.catalog, folder, Texts(side.store.root))
    first = ask["audit-draw"]({"count": "3", "by": "day", "first": "2026-01-02"}, "uid 7")
    side.dock(recorder(tmp_path / "more", {"DCIM/7777777_000002_20260102130000_0001.mp4": 900}))
    keeper = Keeper(side.catalog, folder, STATION)
    while keeper.step():
        pass
    again = sample(side.catalog.read(), folder, Order(3, By.DAY, first["size"], "2026-01-02")).told()
    assert {**again, "event": first["event"]} == first
    later = sample(side.catalog.read(), folder, Order(3, By.DAY, None, "2026-01-02")).told()
    assert later["clips"] != first["clips"]
    row = side.catalog.read().execute("SELECT body FROM events WHERE seq = ?", (first["event"],)).fetchone()
    said = json.loads(row[0])
    assert said["clips"] == [clip["clip"] for clip in first["clips"]]
    assert (said["who"], said["root"], said["first"]) == ("uid 7", first["root"], "2026-01-02")


def test_a_clip_that_a_target_lost_is_drawn_as_it_was_taken_in(side: Dockside) -> None:
    """It goes back to `stored`, with an event that tells no digest."""
    folder = side.store.root / "custody"
    made = sample(side.catalog.read(), folder, Order(2, By.DAY))
    side.catalog.write(lambda tx: sent_again(tx, made.clips[0].clip))
    keeper = Keeper(side.catalog, folder, STATION)
    while keeper.step():
        pass
    assert sample(side.catalog.read(), folder, Order(2, By.DAY, made.head.size)).clips == made.clips
    assert len(sample(side.catalog.read(), folder, Order(10, By.DAY)).clips) == len(side.rows())


def test_what_was_found_is_an_entry_and_its_text_can_be_erased(side: Dockside) -> None:
    ask = commands(side.catalog, side.store.root / "custody", Texts(side.store.root))["audit-record"]
    clip = side.rows()[0]["id"]
    ask({"clip": str(clip), "result": "defect", "text": "镜头被遮挡"}, "uid 7")
    row = side.catalog.read().execute("SELECT clip, body FROM events WHERE kind = 'inspected'").fetchone()
    said = json.loads(row[1])
    assert (row[0], said["result"], said["who"]) == (clip, "defect", "uid 7")
    assert "镜头" not in row[1]
    assert Texts(side.store.root).read(said["text"]) == "镜头被遮挡"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("audit-draw", {}),
        ("audit-draw", {"count": "0"}),
        ("audit-draw", {"count": "5", "by": "officer"}),
        ("audit-draw", {"count": "5", "size": "999999"}),
        ("audit-draw", {"count": "5", "size": "-1"}),
        ("audit-record", {"clip": "1", "result": "fine"}),
        ("audit-record", {"clip": "x", "result": "passed"}),
        ("audit-record", {"clip": "999999", "result": "passed"}),
        ("audit-record", {"clip": "1", "result": "passed", "text": "x" * 501}),
    ],
)
def test_what_cannot_be_done_is_refused_and_leaves_no_entry(
    side: Dockside, name: str, arguments: dict[str, str]
) -> None:
    ask = commands(side.catalog, side.store.root / "custody", Texts(side.store.root))[name]
    with pytest.raises(Reject):
        ask(arguments, "uid 7")
    kinds = side.catalog.read().execute(
        "SELECT count(*) FROM events WHERE kind IN ('sample-drawn', 'inspected')"
    )
    assert kinds.fetchone()[0] == 0


def test_the_command_draws_from_a_copy_without_an_agent(side: Dockside) -> None:
    store = str(side.store.root)
    done = CliRunner().invoke(
        app, ["audit", "draw", "--count", "2", "--by", "day", "--data", store, "--json"]
    )
    assert done.exit_code == 0, done.output
    expected = sample(side.catalog.read(), side.store.root / "custody", Order(2, By.DAY)).told()
    assert json.loads(done.stdout) == expected
    shown = CliRunner().invoke(app, ["audit", "draw", "--count", "1", "--data", store, "--lang", "zh"])
    assert expected["root"] in shown.output
