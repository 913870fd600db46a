"""What a person looks for among clips is found, whole and in order, whatever the size of the pages."""

import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from agent.catalog import queries, search
from agent.catalog.search import BEGIN, Wanted
from tests.retained_house import DAY, House

_LABELS = ("A1", "A2", "B")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with pytest.MonkeyPatch.context() as patch:
        house = House(tmp_path_factory.mktemp("search"), 7)
        patch.setattr("time.time", lambda: house.now)
        house.start()
        for _ in range(80):
            house.dock()
            house.wait(house.random.choice([0.0, 600.0, DAY]))
        for _ in range(30):
            house.label()
        for clip in house.random.sample(list(house.said.clips), 12):
            house.say("label", clips=clip, officer=house.random.choice(["P1", "P2", "P3"]))
        house.send()
        yield house
        house.close()


def told(house: House) -> list[dict[str, Any]]:
    """Every clip, in the order that is promised."""
    db = house.catalog.read()
    rows = [search.one(db, row["id"]) for row in queries.clips(db, limit=1000)]
    found = [row for row in rows if row and row["state"] != "merged"]
    return sorted(found, key=lambda row: (row["recorded_at"] or "", row["id"]), reverse=True)


def fits(row: dict[str, Any], wanted: Wanted) -> bool:
    return (
        (not wanted.state or row["state"] == wanted.state)
        and (not wanted.recorder or row["recorder"] == wanted.recorder)
        and (not wanted.officer or row["officer"] == wanted.officer)
        and (wanted.important is None or row["important"] == wanted.important)
        and (not wanted.category or row["category"] == wanted.category)
        and (not wanted.case or row["case_number"] == wanted.case)
        and (not wanted.since or (row["recorded_at"] or "") >= wanted.since)
        and (not wanted.until or "" < (row["recorded_at"] or "") < wanted.until)
    )


def some(chance: random.Random) -> Wanted:
    def maybe(*values: Any) -> Any:
        return chance.choice(values) if chance.random() < 0.3 else ""

    return Wanted(
        state=maybe("confirmed", "stored", "released"),
        recorder=maybe("R1", "R2", "R9"),
        officer=maybe("P1", "P2", "P3"),
        important=chance.choice([None, None, None, True, False]),
        category=maybe("traffic"),
        case=maybe(*_LABELS),
        since=maybe("1970-01-01T00:00:00", "2026-11-26T00:00:00", "2026-12-20T00:00:00"),
        until=maybe("2000-01-01T00:00:00", "2026-12-15T00:00:00", "2100-01-01T00:00:00"),
    )


@pytest.mark.parametrize("few", [0, search._FEW], ids=["many labels", "few labels"])
@pytest.mark.parametrize("seed", range(60))
def test_what_is_looked_for_comes_page_by_page_each_clip_once_and_in_order(
    house: House, monkeypatch: pytest.MonkeyPatch, seed: int, few: int
) -> None:
    monkeypatch.setattr(search, "_FEW", few)
    chance = random.Random(seed)
    wanted, limit = some(chance), chance.choice([1, 3, 7, 200])
    rows, at = list[dict[str, Any]](), BEGIN
    while True:
        page = search.page(house.catalog.read(), wanted, at, limit)
        assert len(page.rows) <= limit
        rows += page.rows
        if page.next is None:
            break
        at = page.next
    assert [row["id"] for row in rows] == [row["id"] for row in told(house) if fits(row, wanted)]


def test_what_may_not_be_told_is_left_out_and_the_pages_go_on_behind_it(house: House) -> None:
    db, at, ids = house.catalog.read(), BEGIN, list[int]()
    while True:
        page = search.page(db, Wanted(), at, 5, lambda row: row["recorder"] == "R2")
        ids += [row["id"] for row in page.rows]
        if page.next is None:
            break
        at = page.next
    assert ids and ids == [row["id"] for row in told(house) if row["recorder"] == "R2"]


def test_a_page_looks_at_a_bounded_number_of_rows(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_CHUNK", 4)
    monkeypatch.setattr(search, "_MOST", 8)
    page = search.page(house.catalog.read(), Wanted(recorder="R1"), BEGIN, 100, lambda row: False)
    assert page.rows == [] and page.next is not None


def test_a_page_reads_a_bounded_number_of_rows_whole(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(search, "_WHOLE", 3)
    looked = list[int]()

    def refused(row: Mapping[str, Any]) -> bool:
        looked.append(row["id"])
        return False

    page = search.page(house.catalog.read(), Wanted(), BEGIN, 100, refused)
    assert len(looked) == 3 and page.next is not None and page.next.id == looked[-1]


def test_a_category_that_most_clips_have_is_not_put_into_order_for_each_page(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search, "_FEW", 0)
    asked = list[str]()
    db = house.catalog.read()
    db.set_trace_callback(asked.append)
    try:
        assert search.page(db, Wanted(category="traffic"), BEGIN, 2).rows
    finally:
        db.set_trace_callback(None)
    sure = asked[1:]  # the first one asks how many there are
    plans = [str(row["detail"]) for sql in sure for row in db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
    assert any("clips_by_time" in plan for plan in plans)
    assert not any("labels_of_category" in plan for plan in plans)


@pytest.mark.parametrize("wanted", [Wanted(important=True), Wanted(important=True, state="confirmed")])
def test_important_clips_are_found_without_a_look_at_those_between(house: House, wanted: Wanted) -> None:
    asked = list[str]()
    db = house.catalog.read()
    db.set_trace_callback(asked.append)
    try:
        assert search.page(db, wanted, BEGIN, 2).rows
    finally:
        db.set_trace_callback(None)
    steps = [row for sql in asked for row in db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()]
    plans = [str(row["detail"]) for row in steps]
    assert any("clips_important_by_time" in plan for plan in plans)
    assert any("labels_important" in plan for plan in plans)
    assert not any("SCAN k" in plan and "INDEX" not in plan for plan in plans)
