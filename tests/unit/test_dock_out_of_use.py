"""A slot that is out of use finishes what it has, takes nothing more, and says so; also after a restart."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import Catalog, door, stopped
from agent.custody.texts import Texts
from agent.dock.board import Board
from agent.dock.docking import Docking
from agent.dock.orders import Orders
from agent.errors import Reject
from agent.model import Problem, Reporter, SlotState
from drivers.base import Session
from tests.dock_house import House, Settings, Slot, house, volume

S = SlotState
BY = {"person": "王伟", "reason": "cable"}
TURNED_AWAY = "slot-out-of-use"


class Work:
    """A `collect` that waits for its word."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.slots: list[str] = []

    def __call__(self, session: Session, docking: Docking, reporter: Reporter) -> bool:
        self.slots.append(docking.slot)
        reporter.listed(1, 100)
        while not self.go_on.wait(0.005):
            reporter.check()
        return True


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog.open(tmp_path / "catalog.db")
    yield opened
    opened.close()


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def station(tmp_path: Path, work: Work, catalog: Catalog) -> Iterator[House]:
    with house(tmp_path, work, settings=Settings(slots={"1": Slot("p"), "2": Slot("q")})) as built:
        yield built


def orders(station: House, catalog: Catalog, folder: Path) -> Orders:
    def known() -> set[str]:
        return {slot.slot for slot in station.board.snapshot()}

    return Orders(catalog, Texts(folder).said, known, station.dock.ordered)


def told(catalog: Catalog, kind: str) -> dict[str, object]:
    (body,) = catalog.read().execute("SELECT body FROM events WHERE kind = ?", (kind,)).fetchone()
    return dict(json.loads(body))


def test_a_free_slot_is_out_of_use_at_once_and_reads_nobody(
    station: House, work: Work, catalog: Catalog, tmp_path: Path
) -> None:
    orders(station, catalog, tmp_path).stop({"slot": "1", **BY}, "uid 0")
    shown = station.until("1", S.OUT_OF_USE)
    assert shown.problems == () and shown.out_of_use is not None
    assert shown.since >= shown.out_of_use
    station.hand.plug(volume("/dev/sda", "p"))
    assert station.until("1", S.OUT_OF_USE, problem=TURNED_AWAY).recorder == ""
    station.hand.plug(volume("/dev/sdb", "q"))
    station.until("2", S.COLLECTING)
    station.hand.pull(volume("/dev/sda", "p"))
    station.when(lambda: (slot := station.status("1")) and slot.problems == ())
    assert station.until("1", S.OUT_OF_USE)
    assert (work.slots, station.shelf.lent) == (["2"], ["/dev/sdb"])


def test_what_is_being_copied_is_finished_and_then_the_slot_takes_nothing(
    station: House, work: Work, catalog: Catalog, tmp_path: Path
) -> None:
    station.hand.plug(volume("/dev/sda", "p"))
    station.until("1", S.COLLECTING)
    orders(station, catalog, tmp_path).stop({"slot": "1", **BY}, "uid 0")
    station.when(lambda: (slot := station.status("1")) and slot.out_of_use)
    station.hand.plug(volume("/dev/sdb", "p"))  # the same recorder's other volume
    assert station.until("1", S.COLLECTING).problems == ()
    work.go_on.set()
    assert station.until("1", S.COLLECTED).out_of_use is not None
    for node in ("/dev/sda", "/dev/sdb"):
        station.hand.pull(volume(node, "p"))
    station.until("1", S.OUT_OF_USE)
    station.hand.plug(volume("/dev/sda", "p"))
    station.until("1", S.OUT_OF_USE, problem=TURNED_AWAY)
    assert work.slots == ["1", "1"]


def test_what_waits_in_a_slot_is_collected_once_it_is_used_again(
    station: House, work: Work, catalog: Catalog, tmp_path: Path
) -> None:
    asked = orders(station, catalog, tmp_path)
    asked.stop({"slot": "1", **BY}, "uid 0")
    station.hand.plug(volume("/dev/sda", "p"))
    station.until("1", S.OUT_OF_USE, problem=TURNED_AWAY)
    work.go_on.set()
    asked.use({"slot": "1", **BY}, "li")
    shown = station.until("1", S.COLLECTED)
    assert (shown.problems, shown.out_of_use) == ((), None)
    station.hand.pull(volume("/dev/sda", "p"))
    assert station.until("1", S.EMPTY).out_of_use is None


def test_who_was_pulled_early_is_named_although_the_slot_is_out_of_use(
    station: House, catalog: Catalog, tmp_path: Path
) -> None:
    station.hand.plug(volume("/dev/sda", "p"))
    station.until("1", S.COLLECTING)
    orders(station, catalog, tmp_path).stop({"slot": "1", **BY}, "uid 0")
    station.hand.pull(volume("/dev/sda", "p"))
    shown = station.until("1", S.OUT_OF_USE, problem="pulled-early")
    assert shown.pulled is not None and shown.pulled.files == 1


def test_the_order_outlives_a_restart_and_the_name_in_the_configuration(
    tmp_path: Path, catalog: Catalog, work: Work
) -> None:
    catalog.write(lambda tx: stopped.stop(tx, "1", {"who": "uid 0"}))
    out = stopped.slots(catalog.read())
    settings = Settings(slots={"1": Slot("p")})
    with house(tmp_path, work, settings=settings, out_of_use=out) as h:
        assert h.until("1", S.OUT_OF_USE).out_of_use == out["1"]
        h.hand.plug(volume("/dev/sda", "p"))
        h.until("1", S.OUT_OF_USE, problem=TURNED_AWAY)
        settings.slots = {"A": Slot("p")}  # the socket has another name now, which is in use
        work.go_on.set()
        h.hand.plug(volume("/dev/sdb", "q"))
        h.until("A", S.COLLECTED)
        assert h.until("1", S.OUT_OF_USE).problems == ()


def test_both_orders_are_entries_with_who_gave_them(station: House, catalog: Catalog, tmp_path: Path) -> None:
    asked, texts = orders(station, catalog, tmp_path), Texts(tmp_path)
    asked.stop({"slot": "1", **BY}, "uid 0")
    entry = told(catalog, "slot-stopped")
    assert (entry["slot"], entry["who"]) == ("1", "uid 0")
    assert [texts.read(str(entry[name])) for name in ("name", "reason")] == ["王伟", "cable"]
    asked.use({"slot": "1", "person": "李娜"}, "li")
    entry = told(catalog, "slot-used")
    assert (entry["slot"], entry["who"], texts.read(str(entry["name"]))) == ("1", "li", "李娜")
    assert stopped.slots(catalog.read()) == {}


def test_what_cannot_be_ordered_is_refused_and_changes_nothing(
    station: House, catalog: Catalog, tmp_path: Path
) -> None:
    asked = orders(station, catalog, tmp_path)
    with pytest.raises(Reject, match="unknown-slot"):
        asked.stop({"slot": "9", **BY}, "uid 0")
    with pytest.raises(Reject, match="bad-parameter"):
        asked.stop({"slot": "1", "person": "王伟", "reason": " "}, "uid 0")
    with pytest.raises(Reject, match="slot-not-stopped"):
        asked.use({"slot": "1", **BY}, "uid 0")
    assert (stopped.slots(catalog.read()), station.until("1", S.EMPTY).out_of_use) == ({}, None)
    asked.stop({"slot": "1", **BY}, "uid 0")
    with pytest.raises(Reject, match="slot-stopped"):
        asked.stop({"slot": "1", **BY}, "uid 0")


def test_a_raw_connection_stops_no_slot_and_uses_none_again(catalog: Catalog) -> None:
    def meddle(sql: str) -> None:
        with pytest.raises(sqlite3.IntegrityError):
            catalog.write(lambda tx: tx.execute(sql))

    catalog.write(lambda tx: stopped.stop(tx, "1", {}))
    other = catalog.write(lambda tx: door.note(tx, "slot-stopped", None, {"slot": "2"}))
    meddle(f"INSERT INTO stopped_slots (id, slot) VALUES ({other}, '3')")
    meddle("INSERT INTO stopped_slots (id, slot) VALUES (1, '2')")
    meddle(f"UPDATE stopped_slots SET used = {other}")
    meddle("UPDATE stopped_slots SET slot = '2'")
    meddle("DELETE FROM stopped_slots")
    assert list(stopped.slots(catalog.read())) == ["1"]


def test_a_slot_that_is_used_again_is_free_since_that_moment() -> None:
    wall = iter(range(100))
    board = Board(wall=lambda: float(next(wall)))
    board.begin("1")
    board.out_of_use("1", 5.0)
    (out,) = board.snapshot()
    board.update("1", problems=(Problem("internal"),))
    board.out_of_use("1", None)
    (free,) = board.snapshot()
    assert (out.state, out.out_of_use, free.state, free.out_of_use) == (S.OUT_OF_USE, 5.0, S.EMPTY, None)
    assert free.since > out.since
