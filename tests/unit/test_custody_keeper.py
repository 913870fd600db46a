"""What was committed is in the log soon, signed once, whatever happens; and a log that broke says so."""

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.catalog import Catalog, door, events
from agent.custody.log import signer
from agent.custody.log.keeper import Keeper
from agent.custody.log.leaf import Event, entry
from agent.custody.log.shelf import Shelf, read_bundle
from agent.custody.verifier import Key, leaf_hash, node_hash
from tests.custody_house import STATION, House, meddle


@pytest.fixture
def station(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.leave()


def entries(house: House, number: int) -> list[bytes]:
    size = house.heads(number)[-1].size
    return [each for n in range(-(-size // 256)) for each in read_bundle(house.custody / str(number), n)]


def rows(house: House) -> list[bytes]:
    return [entry(Event(*row)) for row in events.rows(house.catalog.read(), 1, 10**6)]


def until(condition: Callable[[], bool], *, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "in vain"
        time.sleep(0.01)


def test_the_log_of_a_new_station_begins_with_its_opening(station: House) -> None:
    station.log()
    key = signer.published(station.custody / "key.pub")
    assert station.events("log-opened") == [
        (
            1,
            {
                "log": 1,
                "origin": f"station/{STATION}/1",
                "key": key.vkey,
                "reason": "first",
                "before": None,
            },
        )
    ]
    assert [head.size for head in station.heads(1)] == [1]
    assert station.problems() == []


def test_the_rows_of_the_catalog_are_the_entries_of_the_log(station: House) -> None:
    station.happen(2500)
    station.log()
    station.happen(3)
    station.log()
    assert entries(station, 1) == rows(station)
    assert [head.size for head in station.heads(1)] == [1024, 2048, 2501, 2504]
    row = [leaf_hash(each) for each in rows(station)[:1024]]
    while len(row) > 1:
        row = [node_hash(row[at], row[at + 1]) for at in range(0, len(row), 2)]
    assert station.heads(1)[0].root == row[0]


def test_nothing_new_is_not_signed_again(station: House) -> None:
    station.log()
    station.log()
    station = station.back()
    station.log()
    assert [head.size for head in station.heads(1)] == [1]
    station.leave()


def test_what_is_committed_is_signed_soon_by_a_thread_of_its_own(station: House) -> None:
    station.keeper.start()
    until(lambda: (station.custody / "1" / "heads").exists())
    for _ in range(3):
        station.happen(5)
        due = events.last(station.catalog.read())
        until(lambda due=due: station.heads(1)[-1].size == due)  # type: ignore[misc]
    assert station.keeper.stop(5)
    assert entries(station, 1) == rows(station)


def test_commits_of_one_moment_share_a_head(tmp_path: Path) -> None:
    catalog = Catalog.open(tmp_path / "catalog.db")
    keeper = Keeper(catalog, tmp_path / "custody", STATION, gather=600)
    keeper.start()
    for _ in range(50):
        catalog.write(lambda tx: door.note(tx, "docked", None, {}))
    assert keeper.stop(5)
    assert (tmp_path / "custody" / "1" / "heads").read_bytes().count(
        b"station/%s/1\n" % STATION.encode()
    ) == 1
    catalog.close()


def test_what_was_committed_last_is_logged_before_the_agent_ends(station: House) -> None:
    station.keeper.start()
    station.happen(7)
    assert station.keeper.stop(10)
    assert station.heads(1)[-1].size == 8


def test_a_log_goes_on_after_a_restart(station: House) -> None:
    station.happen(300)
    station.log()
    station = station.back()
    station.happen(300)
    station.log()
    assert station.problems() == []
    assert entries(station, 1) == rows(station)
    assert len(station.events("log-opened")) == 1
    station.leave()


def test_a_torn_tail_is_repaired_and_taken_over_again(station: House) -> None:
    station.happen(300)
    station.log()
    before = station.heads(1)
    station.happen(10)
    station.log()
    station.leave()
    heads = station.custody / "1" / "heads"
    heads.write_bytes(heads.read_bytes()[:-20])
    station = House(station.store)
    station.log()
    assert station.heads(1)[: len(before)] == before
    assert entries(station, 1) == rows(station)
    station.leave()


@pytest.mark.parametrize("how", ["gone", "empty", "another"])
def test_a_lost_key_is_a_break_that_everybody_sees(station: House, how: str) -> None:
    station.happen(20)
    station.log()
    old = signer.published(station.custody / "key.pub")
    last = station.heads(1)[-1]
    station.leave()
    key = station.custody / "key"
    if how == "gone":
        key.unlink()
    elif how == "empty":
        key.write_bytes(b"")
    else:
        signer.make(station.custody, f"station/{STATION}", "taken")
    station = House(station.store)
    station.log()
    assert station.problems() == ["log-key-lost"]
    assert [body for _, body in station.events("log-key-lost")] == [{"log": 1, "key": old.vkey}]
    opened = station.events("log-opened")[-1][1]
    assert opened["reason"] == "log-key-lost"
    assert opened["before"] == {"log": 1, "size": last.size, "root": last.root.hex(), "key": old.vkey}
    assert opened["key"] == signer.published(station.custody / "key.pub").vkey != old.vkey
    assert entries(station, 2) == rows(station)
    assert signer.published(station.custody / "1" / "key.pub") == old
    station = station.back()
    station.log()
    assert station.problems() == []
    station.leave()


def test_a_lost_log_is_a_break(station: House) -> None:
    station.happen(20)
    station.log()
    station.leave()
    shutil.rmtree(station.custody / "1")
    station = House(station.store)
    station.log()
    assert station.problems() == ["log-lost"]
    before = station.events("log-opened")[-1][1]["before"]
    assert before == {"log": 1, "size": None, "root": None, "key": None}
    assert entries(station, 2) == rows(station)
    station.leave()


def test_a_new_catalog_is_a_break(station: House) -> None:
    station.happen(20)
    station.log()
    last = station.heads(1)[-1]
    station.leave()
    shutil.rmtree(station.store / "catalog")
    station = House(station.store)
    station.happen(2)
    station.log()
    assert station.problems() == ["log-catalog-new"]
    opened = station.events("log-opened")
    assert [seq for seq, _ in opened] == [3]
    before = opened[0][1]["before"]
    assert isinstance(before, dict)
    assert (before["log"], before["size"], before["root"]) == (1, last.size, last.root.hex())
    assert station.heads(1)[-1] == last
    assert entries(station, 2) == rows(station)
    station.leave()


def test_another_id_of_the_station_is_a_break_and_no_lost_key(station: House) -> None:
    station.log()
    station.leave()
    station = House(station.store)
    keeper = Keeper(station.catalog, station.custody, "f" * 32)
    while keeper.step():
        pass
    assert [problem.key for problem in keeper.problems()] == ["log-station-new"]
    assert station.events("log-key-lost") == []
    assert station.heads(2)[-1].origin == f"station/{'f' * 32}/2"
    station.leave()


def test_a_catalog_that_is_older_than_its_log_is_told(station: House) -> None:
    station.happen(5)
    station.log()
    station.leave()
    shutil.copytree(station.store / "catalog", station.store / "backup")
    station = House(station.store)
    station.happen(5)
    station.log()
    station.leave()
    shutil.rmtree(station.store / "catalog")
    (station.store / "backup").rename(station.store / "catalog")
    station = House(station.store)
    station.log()
    assert station.problems() == ["log-ahead"]
    before = station.heads(1)
    station.happen(20)
    station = station.back()
    station.log()
    assert station.problems() == ["log-differs"]
    assert station.keeper.problems()[0].params["event"] == 7
    assert station.heads(1) == before
    station.leave()


@pytest.mark.parametrize(
    ("statement", "key"),
    [
        ("UPDATE events SET body = '{}' WHERE seq = 280", "log-differs"),
        ("DELETE FROM events WHERE seq = 299", "log-differs"),
        ("DELETE FROM events WHERE seq > 298", "log-ahead"),
        ("UPDATE events SET at = at + 1 WHERE seq = 301", "log-differs"),
    ],
)
def test_an_altered_catalog_is_told_at_the_start(station: House, statement: str, key: str) -> None:
    station.happen(300)
    station.log()
    station.leave()
    meddle(station.store, statement)
    station = House(station.store)
    station.log()
    assert station.problems() == [key]
    station.leave()


def test_a_gap_between_events_stops_the_log(station: House) -> None:
    station.log()
    station.happen(5)
    meddle(station.store, "DELETE FROM events WHERE seq = 4")
    station.log()
    assert station.problems() == ["log-gap"]
    assert station.heads(1)[-1].size == 1


def test_a_key_that_others_may_read_signs_nothing(station: House) -> None:
    station.log()
    station.leave()
    (station.custody / "key").chmod(0o644)
    station = House(station.store)
    station.happen()
    station.log()
    assert station.problems() == ["log-key-open"]
    (station.custody / "key").chmod(0o600)
    station.log()
    assert station.problems() == []
    assert station.heads(1)[-1].size == 2
    station.leave()


@pytest.mark.parametrize("path", ["heads", "key.pub", "tile/entries/000"])
def test_a_damaged_log_is_told_and_goes_on_when_it_is_restored(station: House, path: str) -> None:
    station.log()
    station.leave()
    file = station.custody / "1" / path
    good = file.read_bytes()
    file.write_bytes(good[:-10] + b"\0" * 9 + b"\n")
    station = House(station.store)
    station.happen()
    station.log()
    assert station.problems() == ["log-damaged"]
    file.write_bytes(good)
    station.log()
    assert station.problems() == []
    assert entries(station, 1) == rows(station)
    station.leave()


def test_a_disk_without_room_is_waited_for(station: House, monkeypatch: pytest.MonkeyPatch) -> None:
    station.log()
    station.happen()
    real = os.pwrite
    with monkeypatch.context() as full:

        def refused(fd: int, data: bytes, offset: int) -> int:
            if len(data) > 1:
                return real(fd, data[:1], offset)
            raise OSError(28, "No space left on device")

        full.setattr(os, "pwrite", refused)
        station.log()
        assert station.problems() == ["log-failed"]
    station.log()
    assert station.problems() == []
    assert entries(station, 1) == rows(station)


def test_the_thread_tries_again_by_itself(station: House) -> None:
    station.custody.write_bytes(b"in the way")
    station.keeper.start()
    until(lambda: station.problems() == ["log-failed"])
    station.custody.unlink()
    until(lambda: station.problems() == [])
    assert station.keeper.stop(5)


def test_a_crash_while_a_log_begins_leaves_the_same_log_to_begin(station: House) -> None:
    """The folder and the key come first; then the commit."""
    station.custody.mkdir()
    made = signer.make(station.custody, f"station/{STATION}", "before-1")
    (station.custody / "1").mkdir()
    signer.publish(station.custody / "1" / "key.pub", made.key)
    station.log()
    assert station.problems() == []
    assert station.events("log-opened")[0][1]["key"] == made.key.vkey
    assert [head.size for head in station.heads(1)] == [1]


def test_subscribers_hear_of_commits_that_changed_something_and_of_no_others(station: House) -> None:
    heard: list[str] = []
    station.catalog.subscribe(lambda: heard.append(threading.current_thread().name))
    station.catalog.write(lambda tx: None)
    with pytest.raises(ZeroDivisionError):
        station.catalog.write(lambda tx: 1 // 0)
    assert heard == []
    station.happen()
    assert heard == ["catalog"]


def test_the_size_of_the_log_is_told_and_what_waits_for_a_signature(station: House) -> None:
    assert station.keeper.figures() is None  # nobody has opened it yet
    station.happen(300)
    station.log()
    assert station.keeper.figures() == (301, 0, None)
    station.happen(2)
    assert station.keeper.figures() == (301, 2, None)
    station.keeper.start()
    until(lambda: (station.keeper.figures() or (0, 0, None))[2] is not None)
    for _ in range(2):
        station.happen(300)
        until(lambda: station.keeper.figures() == (events.last(station.catalog.read()), 0, _weight(station)))


def test_a_log_that_stands_still_says_how_much_waits(station: House) -> None:
    station.happen(3)
    station.log()
    station.happen(3)
    meddle(station.store, "DELETE FROM events WHERE seq = 5")
    station.log()
    assert station.problems() == ["log-gap"]
    assert station.keeper.figures() == (4, 3, None)


def test_who_weighs_a_large_log_keeps_no_agent_from_ending(station: House) -> None:
    station.happen(300)
    station.log()
    shelf = Shelf(station.custody / "1", f"station/{STATION}/1", _key(station))
    assert shelf.weigh(lambda: False) == _weight(station)
    assert shelf.weigh(lambda: True) is None


def _key(station: House) -> Key:
    return signer.published(station.custody / "key.pub")


def _weight(station: House) -> int:
    return sum(path.stat().st_size for path in (station.custody / "1").rglob("*") if path.is_file())
