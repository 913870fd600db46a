"""A rebuilt catalog tells the same story: what the log holds is there again, and the log goes on."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.catalog import (
    accounts,
    acknowledged,
    findings,
    holds,
    home,
    intake,
    labels,
    lives,
    priority,
    stopped,
)
from agent.catalog.accounts import Account
from agent.catalog.home import settle
from agent.custody.log import heads, leaving, opening, signer
from agent.custody.log.shelf import Shelf, read_bundle
from agent.custody.rebuild import rebuild_store
from agent.errors import CatalogError, DeviceGone, Stop
from agent.retention.book import take_over
from tests.custody_house import STATION
from tests.dockside import Heard, media, recorder, rot
from tests.dying import KILLED, dying_at, in_a_child
from tests.retaining import config
from tests.storied import NAME, Storied

_LINES = [str(module.__file__) for module in (home, heads, opening)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return recorder(tmp_path / "rec", {NAME.format(n): 900 + n for n in (1, 2, 3)})


@pytest.fixture
def station(tmp_path: Path, folder: Path) -> Iterator[Storied]:
    """Two dockings, clips under two names, a finding that is explained and one that is open, labels, holds,
    a case and rules, accounts and tokens, orders, all of it in the log, and the clips at the centre."""
    made = Storied(tmp_path / "station")
    assert made.side.dock(folder)[0]
    assert made.judge() == 0
    shutil.copy(folder / NAME.format(3), folder / "DCIM/again.mp4")
    recorder(folder, {NAME.format(n): 900 + n for n in (6, 7)})
    assert made.side.dock(folder)[0]
    assert made.judge() == 1
    recorder(folder, {NAME.format(12): 800})
    assert made.side.dock(folder)[0]
    assert made.judge() == 1
    [first, _] = (row[0] for row in made.told()["findings"])
    made.side.catalog.write(lambda tx: findings.explain(tx, first, "custodian", "ab" * 32))
    made.side.catalog.write(lambda tx: findings.look(tx, first + 1, "centre", 1))
    made.side.catalog.write(lambda tx: _said(tx, min(made.states())))
    made.side.catalog.write(_admitted)
    made.side.catalog.write(_ordered)
    for rules in ({}, {"classes": {"ordinary": {"centre": "90 days"}}}):
        take_over(made.side.catalog, config(**rules))
    made.side.upload(tmp_path / "centre")
    made.log()
    yield made
    made.close()


def _said(tx: sqlite3.Connection, clip: int) -> None:
    labels.put(tx, clip, {"case": "LN-1", "important": "yes"}, {"who": "custodian"})
    labels.put(tx, clip, {"important": "", "note": "ab" * 32}, {"who": "custodian"})
    labels.case(tx, "LN-1", True, {})
    labels.case(tx, "LN-1", False, {})
    holds.place(tx, {"scope": "case", "value": "LN-1"}, {})
    holds.lift(tx, holds.place(tx, {"scope": "clip", "value": str(clip)}, {}), {})


def _admitted(tx: sqlite3.Connection) -> None:
    for name in ("wang", "old", "back"):
        accounts.put(tx, Account(name, "reviewer", ("一中队", "二中队")), {"who": "uid 0"})
        accounts.set_password(tx, name, "scrypt$secret", {"who": "uid 0"})
    accounts.put(tx, Account("wang", "officer", officer="000123"), {"who": "uid 0"})
    for name in ("old", "back"):
        accounts.remove(tx, name, {"who": "wang"})
    accounts.put(tx, Account("back", "inspector"), {"who": "uid 0"})
    for name, expires in (("zabbix", 4e9), ("prometheus", None)):
        accounts.make_token(tx, name, name.encode(), expires, {"who": "uid 0"})
    accounts.revoke_token(tx, "zabbix", {"who": "uid 0"})


def _ordered(tx: sqlite3.Connection) -> None:
    for slot in ("1", "2"):
        stopped.stop(tx, slot, {"who": "uid 0"})
    stopped.use(tx, "1", {"who": "uid 0"})
    for severity in ("warning", "critical"):
        acknowledged.put(tx, "disk-worn", "sda", severity, {"who": "uid 0"})


def test_all_that_the_log_holds_comes_back_under_its_own_numbers(station: Storied) -> None:
    before, last = station.told(), station.last()
    done = station.rebuild()
    assert (done.events, done.log.key) == (last, "rebuilt-log")
    assert (done.clips.clips, done.clips.missing, done.clips.elsewhere, done.clips.faults) == (6, 0, 0, [])
    after = station.told(last)
    for table, rows in before.items():
        assert after[table] == rows, table
    assert set(station.states().values()) == {"stored", "merged"}
    assert station.side.states() == {"stored": 6, "merged": 1}  # as they are counted


def test_nobody_logs_in_to_a_rebuilt_station_before_a_password_is_set_again(station: Storied) -> None:
    """No event tells a hash, so none can come back."""
    for entry in (row[0] for row in station.told()["events"]):
        assert "scrypt" not in str(entry)
    station.rebuild()
    db = station.side.catalog.read()
    assert [(one.name, one.role, one.password) for one in accounts.every(db)] == [
        ("back", "inspector", None),
        ("wang", "officer", None),
    ]
    assert [(one.name, one.hash) for one in accounts.tokens(db)] == [("prometheus", None)]
    assert accounts.token_of(db, b"prometheus") is None
    station.side.catalog.write(lambda tx: accounts.set_password(tx, "wang", "scrypt$new", {"who": "uid 0"}))
    found = accounts.one(db, "wang")
    assert found
    assert (found.role, found.officer, found.password) == ("officer", "000123", "scrypt$new")


def test_nothing_of_the_rebuild_stays_in_the_catalog(station: Storied) -> None:
    schema = "SELECT name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    before = dict(station.side.catalog.read().execute(schema).fetchall())
    station.rebuild()
    assert dict(station.side.catalog.read().execute(schema).fetchall()) == before
    assert station.side.catalog.quick_check() == []
    assert sorted(path.name for path in station.store.iterdir() if "catalog" in path.name) == ["catalog"]


def test_the_same_log_goes_on_and_the_audit_accuses_nobody(station: Storied) -> None:
    last = station.last()
    station.rebuild()
    assert station.log() == []
    assert station.audited() == []
    assert [path.name for path in station.custody.glob("[0-9]*")] == ["1"]
    [told] = station.events("catalog-rebuilt")
    assert (told["log"], told["events"], told["unused"], told["clips"]) == (1, last, 0, 6)
    assert told["until"] is not None
    assert told["unfit"] is None


def test_a_recorder_that_comes_back_brings_nothing_anew_and_is_accused_of_nothing(
    station: Storied, folder: Path
) -> None:
    station.rebuild()
    complete, heard = station.side.dock(folder)
    assert complete
    assert heard.total == (0, 0)
    assert station.judge() == 0


def test_what_vanished_before_is_not_told_twice(station: Storied, folder: Path) -> None:
    (folder / NAME.format(2)).unlink()
    station.side.dock(folder)
    assert station.judge() == 1  # emptied
    station.log()
    station.rebuild()
    station.side.dock(folder)
    assert station.judge() == 0


def test_what_is_missing_across_a_rebuild_is_found(station: Storied, folder: Path) -> None:
    station.rebuild()
    recorder(folder, {NAME.format(15): 700})
    station.side.dock(folder)
    assert station.judge() == 1
    *_, told = station.told()["findings"]
    assert told[4]["numbers"] == [[13, 14]]


def test_every_clip_is_offered_again_and_its_story_is_whole(station: Storied, tmp_path: Path) -> None:
    station.rebuild()
    station.side.upload(tmp_path / "another")
    station.log()
    assert set(station.states().values()) == {"confirmed", "merged"}
    assert station.audited() == []


def test_a_clip_that_should_be_here_and_is_not_is_quarantined_and_collected_again(
    station: Storied, folder: Path
) -> None:
    gone, rotten, alone, *_ = (row for row in station.side.rows() if row["key"])
    store = station.side.store
    store.path(gone["key"]).unlink()
    store.sidecar(gone["key"]).unlink()
    rot(store.path(rotten["key"]))
    store.sidecar(alone["key"]).unlink()
    done = station.rebuild()
    assert (done.clips.clips, done.clips.missing, len(done.clips.faults)) == (3, 3, 2)
    states = station.states()
    assert {states[row["id"]] for row in (gone, rotten, alone)} == {"quarantined"}
    assert station.log() == []
    assert station.audited() == []
    station.side.dock(folder)
    assert station.states()[gone["id"]] == "stored"
    assert station.side.stored_digests() == media(folder)
    station.log()
    assert station.audited() == []


def test_what_waits_on_a_recorder_is_waited_for_and_its_loss_is_told(tmp_path: Path) -> None:
    """It was listed, and pulled before it was copied."""
    station = Storied(tmp_path / "station")
    folder = recorder(tmp_path / "rec", {NAME.format(n): 3 << 20 for n in range(1, 9)})
    with pytest.raises(DeviceGone):
        station.side.dock(folder, Heard(pull_after=7 << 20))
    station.judge()
    before = station.states()
    assert "seen" in before.values()
    station.log()
    station.rebuild()
    assert {clip for clip, state in station.states().items() if state == "seen"} == {
        clip for clip, state in before.items() if state == "seen"
    }
    station.judge()
    (folder / NAME.format(8)).unlink()
    assert station.side.dock(folder)[0]
    assert sorted(station.states().values()) == ["missing", *["stored"] * 7]
    assert station.judge() == 1
    assert station.told()["findings"][-1][1] == "vanished"
    station.log()
    assert station.audited() == []
    station.rebuild()
    station.side.dock(folder)
    assert station.judge() == 0  # told once
    station.close()


def test_what_somebody_asked_for_goes_first_still(station: Storied, folder: Path) -> None:
    recorder(folder, {NAME.format(n): 100 for n in (13, 14)})
    station.side.dock(folder)
    first = max(station.states())
    station.side.catalog.write(lambda tx: priority.first(tx, first, "officer"))
    station.side.catalog.write(lambda tx: intake.mark_important(tx, first))
    station.log()
    station.rebuild()
    row = station.side.catalog.read().execute("SELECT urgency, important FROM clips WHERE id = ?", (first,))
    assert tuple(row.fetchone()) == (2, 1)


def test_events_that_had_not_reached_the_log_are_lost_and_nothing_else_is(
    station: Storied, folder: Path
) -> None:
    """A clip of which the log knows nothing, and one that it saw begin."""
    last = station.last()
    recorder(folder, {NAME.format(13): 100})
    station.side.dock(folder)
    [lost] = [row for row in station.side.rows() if row["id"] > last]
    done = station.rebuild()
    assert (done.events, done.clips.clips) == (last, 7)
    assert station.log() == []
    assert station.audited() == []
    [again] = [row for row in station.side.rows() if row["key"] == lost["key"]]
    [told] = [one for one in station.events("rebuilt") if one["from"] is None]
    assert (told["was"], again["state"]) == (lost["id"], "stored")
    station.rebuild()  # it is found by the number in its sidecar, which others may have by now
    assert [row["id"] for row in station.side.rows() if row["key"] == lost["key"]] == [again["id"]]
    assert station.log() == []
    assert station.audited() == []


def test_wherever_the_log_ends_each_clip_comes_back_once_and_nobody_is_accused(
    station: Storied, folder: Path, tmp_path: Path
) -> None:
    """What is in the store is known by its number, or is a clip of its own."""
    whole = station.last()
    station.side.close()
    for last in range(1, whole):
        cut = Storied.__new__(Storied)
        cut.root = shutil.copytree(station.root, tmp_path / "cut")
        shutil.rmtree(cut.store / "catalog")
        (cut.custody / "1/heads").unlink()
        shutil.rmtree(cut.custody / "1/tile")
        relog(station.custody, cut.custody, last)
        done = rebuild_store(cut.store, STATION)
        cut.back()
        assert (done.events, done.clips.clips, done.clips.faults) == (last, 6, []), last
        assert list(cut.states().values()).count("stored") == 6, last
        assert cut.side.dock(folder)[0]
        assert list(cut.states().values()).count("stored") == 6, last
        assert cut.log() == ([] if done.log.key == "rebuilt-log" else ["log-lost"])
        assert cut.audited() == [], last
        assert cut.judge() == 0
        cut.close()
        shutil.rmtree(cut.root)


def relog(whole: Path, into: Path, last: int) -> None:
    """The first entries of a log, signed anew as they would have been."""
    ours = signer.load(whole, f"station/{STATION}")
    assert ours is not None
    shelf = Shelf(into / "1", f"station/{STATION}/1", ours.key)
    shelf.append(read_bundle(whole / "1", 0)[:last])
    shelf.seal(ours.sign)


def test_a_rebuilt_catalog_is_rebuilt_again_as_it_was(station: Storied) -> None:
    station.rebuild()
    station.log()
    before, last = station.told(), station.last()
    station.rebuild()
    after = station.told(last)
    for table, rows in before.items():
        assert after[table] == rows, table
    assert station.log() == []
    assert station.audited() == []


def test_a_story_of_sidecars_alone_comes_back_from_the_log_too(tmp_path: Path, folder: Path) -> None:
    """A rebuild without a log gives clips other numbers than their sidecars have."""
    station = Storied(tmp_path / "station")
    station.side.dock(folder)
    station.rebuild()
    assert station.log() == []
    before = station.told()
    done = station.rebuild()
    assert (done.clips.clips, done.clips.faults) == (3, [])
    for table in ("clips", "dockings", "names"):
        assert station.told()[table] == before[table]
    assert station.log() == []
    assert station.audited() == []
    station.close()


def altered(path: str, change: Callable[[bytes], bytes]) -> Callable[[Storied], None]:
    def alter(station: Storied) -> None:
        there = station.custody / path
        there.write_bytes(change(there.read_bytes()))

    return alter


def flip(data: bytes) -> bytes:
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def of_another(station: Storied) -> None:
    """Key and log of some other station."""
    shutil.rmtree(station.custody)
    other = Storied(station.root.with_name("other"))
    other.keeper = type(other.keeper)(other.side.catalog, other.custody, "f" * 32)
    other.side.dock(recorder(station.root.with_name("more"), {"a.mp4": 10}))
    other.log()
    other.close()
    shutil.copytree(other.custody / "1", station.custody / "1")


def replaced_by_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


UNFIT: dict[str, Callable[[Storied], None]] = {
    "an entry": altered("1/tile/entries/000", flip),
    "an entry cut off": altered("1/tile/entries/000", lambda data: data[:-1]),
    "no entries": altered("1/tile/entries/000", lambda data: b""),
    "a head": altered("1/heads", flip),
    "the key of the log": altered("1/key.pub", flip),
    "the key of the log gone": lambda station: (station.custody / "1/key.pub").unlink(),
    "what cannot be read": lambda station: replaced_by_a_folder(station.custody / "1/tile/entries/000"),
    "another station's": of_another,
}


@pytest.mark.parametrize("what", UNFIT)
def test_a_log_that_does_not_fit_is_not_believed_and_another_one_begins(station: Storied, what: str) -> None:
    UNFIT[what](station)
    done = station.rebuild()
    assert done.log.key == "rebuilt-without-log"
    assert (done.events, done.clips.clips) == (0, 6)
    assert station.log() == ["log-catalog-new"]
    assert station.events("catalog-rebuilt")[0]["unfit"] == done.log.params
    [opened] = station.events("log-opened")
    assert (opened["log"], opened["reason"]) == (2, "log-catalog-new")


def test_a_tail_without_a_head_is_not_used(station: Storied, folder: Path) -> None:
    last = station.last()
    entries = station.custody / "1/tile/entries/000"
    entries.write_bytes(entries.read_bytes() + (30).to_bytes(2, "big") + b"torn")
    assert station.rebuild().events == last
    assert station.log() == []
    assert station.audited() == []


@pytest.mark.parametrize("how", ["gone", "another"])
def test_a_lost_key_does_not_lose_the_story_and_is_a_break_that_everybody_sees(
    station: Storied, how: str
) -> None:
    before, last = station.told(), station.last()
    (station.custody / "key").unlink()
    if how == "another":
        signer.make(station.custody, f"station/{STATION}", "before")
    done = station.rebuild()
    assert done.log.key == "rebuilt-log-key-lost"
    assert station.told(last)["clips"] == before["clips"]
    assert station.log() == ["log-key-lost"]
    assert station.audited() == []


def test_a_key_that_others_can_read_stops_the_rebuild(station: Storied) -> None:
    (station.custody / "key").chmod(0o644)
    station.lose()
    with pytest.raises(Stop, match="log-key-open"):
        rebuild_store(station.store, STATION)
    (station.custody / "key").chmod(0o600)
    rebuild_store(station.store, STATION)
    station.back()


def centre_has(station: Storied, folder: Path) -> None:
    """What leaves the station, laid as at the centre."""
    for step in leaving.steps(station.custody, 0, 0):
        for document in step.documents:
            path = folder / document.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(document.data)


def test_a_log_that_the_centre_kept_brings_the_story_back_and_is_never_signed_on(
    station: Storied, tmp_path: Path, folder: Path
) -> None:
    """What was signed behind it here is not known any more: no size may be signed twice."""
    centre_has(station, tmp_path / "kept")
    last = station.last()
    recorder(folder, {NAME.format(13): 100})
    station.side.dock(folder)
    station.log()
    before = station.told(last)
    signed = (station.custody / "1/heads").read_bytes()
    shutil.rmtree(station.custody / "1")
    shutil.copytree(tmp_path / "kept/1", station.custody / "1")
    done = station.rebuild()
    assert (done.log.key, done.events, done.clips.clips) == ("rebuilt-log-over", last, 7)
    assert station.told(last)["findings"] == before["findings"]
    assert (station.custody / "1/heads").read_bytes() in signed
    assert station.log() == ["log-lost"]
    opened = station.events("log-opened")[-1]
    assert (opened["log"], opened["before"]["size"]) == (2, last)
    assert {step.log for step in leaving.steps(station.custody, 0, 0)} == {2}  # there is more of 1 elsewhere
    assert station.audited() == []
    station.side.close()
    station.back()
    assert station.log() == []  # it goes on


def test_heads_are_gathered_wherever_that_was_cut_short(station: Storied, tmp_path: Path) -> None:
    centre_has(station, tmp_path / "kept")
    log = tmp_path / "kept/1"
    whole = b"".join(path.read_bytes() for path in sorted((log / "heads").iterdir()))
    shutil.copytree(log / "heads", log / "heads.left")
    shutil.rmtree(log / "heads")
    (log / "heads.tmp").write_bytes(whole[:7])
    heads.gather(log)
    assert (log / "heads").read_bytes() == whole
    (log / "heads.left").mkdir()
    heads.gather(log)
    assert sorted(path.name for path in log.iterdir()) == ["heads", "key.pub", "tile"]
    assert (log / "heads").read_bytes() == whole


def test_an_agent_does_not_begin_an_empty_catalog_beside_a_log(station: Storied) -> None:
    """It would open another log, and know nothing of what was held."""
    station.lose()
    shutil.rmtree(station.store / "clips")
    with pytest.raises(CatalogError) as caught:
        settle(station.store)
    assert caught.value.key == "catalog-missing"
    assert not (station.store / "catalog").exists()
    done = rebuild_store(station.store, STATION)
    assert done.clips.missing == 6
    settle(station.store)
    station.back()
    assert station.log() == []
    assert station.audited() == []


def test_a_log_of_which_there_is_nothing_but_a_beginning_stops_no_agent(tmp_path: Path) -> None:
    (tmp_path / "custody/1").mkdir(parents=True)
    (tmp_path / "custody/1/key.pub").write_text("x\n")
    assert not settle(tmp_path).exists()


def test_a_rebuild_killed_at_any_line_leaves_a_catalog_that_goes_on_with_its_log(tmp_path: Path) -> None:
    """Here with all that there is to do: a log from the centre. Who finds the old catalog rebuilds again."""
    station = Storied(tmp_path / "station")
    station.side.dock(recorder(tmp_path / "rec", {NAME.format(1): 900}))
    station.log()
    last = station.last()
    centre_has(station, tmp_path / "kept")
    station.side.close()
    shutil.rmtree(station.custody / "1")
    shutil.copytree(tmp_path / "kept/1", station.custody / "1")
    line, outcomes = 0, set()
    while True:
        line += 1
        killed = Storied.__new__(Storied)
        killed.root = shutil.copytree(station.root, tmp_path / "killed")
        work = dying_at(line, _LINES, lambda: rebuild_store(killed.store, STATION))  # noqa: B023
        code = in_a_child(work)
        settle(killed.store)
        whole = any(killed.store.glob("catalog.*T*"))
        outcomes.add(whole)
        if not whole:
            killed.back()
            assert set(killed.states().values()) == {"stored"}
            assert killed.events("catalog-rebuilt") == []
            assert killed.rebuild().events == last
        else:
            killed.back()
        assert len(killed.events("catalog-rebuilt")) == 1, f"killed at line {line}"
        assert killed.log() == ["log-lost"]
        assert killed.audited() == [], f"killed at line {line}"
        killed.close()
        shutil.rmtree(killed.root)
        if code == 0:
            break
        assert code == KILLED
    assert line > 30
    assert outcomes == {False, True}


def test_a_log_of_an_older_version_brings_back_what_it_tells(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its events hold less: sidecars tell the rest."""
    station = Storied(tmp_path / "station")
    with monkeypatch.context() as older:
        older.setattr(
            lives, "facts", lambda columns: {"path": columns["path"].decode(), "docking": columns["docking"]}
        )
        recorder(folder, {"pulled.mp4": 1})
        station.side.dock(folder)
    station.log()
    before = station.told()
    [lost, *_] = station.side.rows()
    station.side.store.path(lost["key"]).unlink()
    done = station.rebuild()
    assert (done.clips.clips, done.clips.missing, done.clips.elsewhere) == (3, 0, 1)
    assert station.told()["clips"] == [row for row in before["clips"] if row[0] != lost["id"]]
    assert station.told()["dockings"] == before["dockings"]
    assert station.log() == []
    assert station.audited() == []
    assert station.side.dock(folder)[0]
    assert station.side.stored_digests() == media(folder)
    station.close()
