"""What goes at the centre: what no rule and no hold of any station keeps, and nothing else."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from agent.archive import lists
from agent.archive.plan import Archive
from agent.errors import Reject, Stop
from agent.retention.book import take_over
from tests.archived import (
    DAY,
    HOUR,
    LATER,
    ONE,
    TWO,
    Dated,
    Sites,
    archive,
    certificates,
    close_case,
    erase,
    going,
    hold,
    label,
    lift,
    listed,
    reasons,
)  # fmt: skip
from tests.retaining import config
from tests.uploading import Station, content


@pytest.fixture
def sites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sites]:
    made = Sites(tmp_path)
    monkeypatch.setattr("agent.catalog.door.stamp", made.stamp)
    yield made
    made.close()


def left(sites: Sites) -> set[str]:
    """Keys of all clips of which anything lies in the share."""
    root = sites.root / "share" / "clips"
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    return {file.removesuffix(".json") for file in files}


def test_what_is_over_goes_with_its_manifest_and_a_certificate_and_nothing_else(sites: Sites) -> None:
    station = sites.station()
    old = station.store("old.mp4", content(1000, 1))
    sites.tell()
    made = archive(sites)
    assert going(made.plan()) == set()
    sites.later(LATER)
    important = station.store("important.mp4", content(1000, 2), important=True)
    sites.tell()
    sites.age()
    stations_before = {path: path.read_bytes() for path in (sites.root / "share/stations").rglob("*.jsonl")}
    plan = archive(sites).plan()
    assert going(plan) == {station.key(old)}
    assert reasons(plan) == {"kept-by-rule": 1}
    done = erase(archive(sites), listed(plan, sites.root))
    assert (done.erased, done.versions, done.kept) == (1, 2, [])
    assert left(sites) == {station.key(important)}
    assert {
        path: path.read_bytes() for path in (sites.root / "share/stations").rglob("*.jsonl")
    } == stations_before
    told = certificates(made.store)
    [begun] = [said for said in told.values() if said["state"] == "begun"]
    [end] = [said for said in told.values() if said["state"] == "done"]
    assert (begun["name"], begun["reason"], begun["clips"]) == ("Wang", "their time is over", 1)
    assert (end["erased"], end["certificate"]) == (1, begun["certificate"])
    rows = made.store.read(f"certificates/{begun['list']}") or b""
    assert [one.sha256 for one in lists.read(rows)] == [plan.going[0].sha256]


def two_clips(sites: Sites) -> tuple[Station, int, int]:
    station = sites.station()
    first, second = (station.store(f"{number}.mp4", content(1000, number)) for number in range(2))
    return station, first, second


@pytest.mark.parametrize(("scope", "value"), [("recorder", "8888888"), ("officer", ""), ("case", "A")])
def test_a_hold_of_any_station_protects_the_clips_of_all(sites: Sites, scope: str, value: str) -> None:
    station, clip, _ = two_clips(sites)
    other = sites.station(TWO)
    label(station, clip, case="A", officer="P9")
    close_case(station, "A")
    number = hold(other, scope, value or "P9")
    sites.tell()
    sites.later(LATER)
    assert station.key(clip) not in going(archive(sites).plan())
    assert reasons(archive(sites).plan())["held"] >= 1
    lift(other, number)
    sites.tell()
    sites.age(ONE)
    sites.age(TWO)
    assert station.key(clip) in going(archive(sites).plan())


def test_a_hold_on_a_clip_speaks_of_the_numbers_of_its_own_station(sites: Sites) -> None:
    station, clip, another = two_clips(sites)
    other = sites.station(TWO)
    theirs = other.store("theirs.mp4", content(1000, 9))
    hold(other, "clip", str(theirs))
    sites.tell()
    sites.later(LATER)
    assert going(archive(sites).plan()) == {station.key(clip), station.key(another)}


def test_the_longest_rule_of_all_stations_wins_and_the_archives_own(sites: Sites) -> None:
    two_clips(sites)
    sites.station(TWO, config(classes={"ordinary": {"centre": "400 days"}}))
    sites.tell()
    sites.later(LATER)
    assert going(archive(sites).plan()) == set()
    sites.later(401 * DAY - LATER)
    assert len(going(archive(sites).plan())) == 2
    longer = config(classes={"ordinary": {"centre": "500 days"}})
    assert going(archive(sites, extra=longer).plan()) == set()


def test_rules_that_were_changed_protect_together_until_they_are_confirmed(sites: Sites) -> None:
    station, *_ = two_clips(sites)
    take_over(station.catalog, config(classes={"ordinary": {"centre": "10 days"}}))
    sites.tell()
    sites.later(20 * DAY)
    assert going(archive(sites).plan()) == set()


def test_evidence_stays_while_its_case_is_open(sites: Sites) -> None:
    station, clip, other = two_clips(sites)
    label(station, clip, case="LN-1")
    sites.tell()
    sites.later(LATER)
    assert going(archive(sites).plan()) == {station.key(other)}
    close_case(station, "LN-1")
    sites.tell()
    sites.age()
    assert going(archive(sites).plan()) == {station.key(clip), station.key(other)}


def test_a_recorder_at_1980_or_2099_counts_from_the_docking(sites: Sites) -> None:
    station = sites.station()
    for year in (1980, 2099):
        station.store(f"{year}.mp4", content(1000, year), recorded=datetime(year, 1, 1))
    sites.tell()
    sites.later(182 * DAY)
    assert going(archive(sites).plan()) == set()
    sites.later(2 * DAY)
    assert len(going(archive(sites).plan())) == 2


def status(sites: Sites, **said: object) -> None:
    path = sites.root / "share/stations" / ONE / "status.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **said}))


def story(sites: Sites) -> Path:
    [found] = (sites.root / "share/stations" / ONE).glob("2*")
    return found


def _drop(sites: Sites, pattern: str) -> None:
    for path in (sites.root / "share/stations" / ONE).glob(pattern):
        path.unlink()


def _spoil(sites: Sites, pattern: str) -> None:
    for path in story(sites).glob(pattern):
        path.write_bytes(path.read_bytes()[:-40])


def _forget(sites: Sites) -> None:
    _drop(sites, "*/log/*")
    _drop(sites, "*/clips/*/*")


DOUBTS: dict[str, Callable[[Sites], None]] = {
    "station-silent": lambda sites: sites.age(by=8 * DAY),
    "station-clock": lambda sites: sites.age(by=-2 * HOUR),
    "story-behind": lambda sites: status(sites, of=10_000),
    "story-missing": lambda sites: _drop(sites, "status.json"),
    "story-gap": lambda sites: status(sites, events=10_000),
    "story-damaged": lambda sites: _spoil(sites, "log/*"),
    "untold": _forget,
}


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_station_that_cannot_be_relied_on_keeps_all_of_its_own(sites: Sites, doubt: str) -> None:
    two_clips(sites)
    other = sites.station(TWO)
    theirs = other.store("theirs.mp4", content(1000, 9))
    sites.tell()
    sites.later(LATER)
    assert len(going(archive(sites).plan())) == 3
    DOUBTS[doubt](sites)
    plan = archive(sites).plan()
    assert going(plan) == {other.key(theirs)}
    assert reasons(plan) == {doubt: 2}


def test_a_clip_that_no_document_describes_stays(sites: Sites) -> None:
    two_clips(sites)
    sites.tell()
    sites.later(LATER)
    for path in story(sites).glob("clips/*/*"):
        path.unlink()
    assert reasons(archive(sites).plan()) == {"story-gap": 2}


def test_what_is_lost_of_a_story_may_have_been_a_hold_on_clips_of_others(sites: Sites) -> None:
    sites.station()
    other = sites.station(TWO)
    theirs = other.store("theirs.mp4", content(1000, 9))
    sites.tell()
    sites.later(LATER)
    status(sites, events=10_000)
    wanted = listed(archive(sites).plan(), sites.root)
    with pytest.raises(Reject, match="archive-stories"):
        erase(archive(sites), wanted)
    assert left(sites) == {other.key(theirs)}
    assert erase(archive(sites), wanted, despite=[ONE]).erased == 1


def test_what_came_between_plan_and_erasing_is_seen(sites: Sites) -> None:
    station, held, labelled = two_clips(sites)
    station.store("free.mp4", content(1000, 5))
    sites.tell()
    sites.later(LATER)
    wanted = listed(archive(sites).plan(), sites.root)
    assert wanted.clips == 3
    hold(station, "clip", str(held))
    label(station, labelled, important="yes")
    sites.tell()
    sites.age()
    done = erase(archive(sites), wanted)
    assert sorted(done.kept) == sorted([(station.key(held), "held"), (station.key(labelled), "kept-by-rule")])
    assert left(sites) == {station.key(held), station.key(labelled)}


def test_a_hold_that_comes_while_it_erases_stops_the_next_group(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.archive.expire._GROUP", 1)
    station, *_ = two_clips(sites)
    sites.tell()
    sites.later(LATER)
    made = archive(sites)
    wanted = listed(made.plan(), sites.root)
    erased = made.store.erase

    def erase_and_hold(path: str) -> int:
        if not path.endswith(".json"):
            hold(station, "recorder", "8888888")
            sites.reports[ONE].turn()
            sites.age()
        return erased(path)

    monkeypatch.setattr(made.store, "erase", erase_and_hold)
    done = erase(made, wanted)
    assert (done.erased, [why for _, why in done.kept]) == (1, ["held"])


def test_nothing_is_erased_without_a_manifest_of_ours_nor_what_a_station_still_carries(sites: Sites) -> None:
    station, gone, other = two_clips(sites)
    sites.tell()
    root = sites.root / "share/clips"
    (root / f"{station.key(gone)}.json").unlink()
    (root / "8888888/strange.mp4").write_bytes(b"somebody's")
    (root / "8888888/notes.json").write_bytes(b"{}")
    manifest = root / f"{station.key(other)}.json"
    sites.later(LATER)
    assert reasons(archive(sites).plan()) == {"no-manifest": 3}
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "sha256": "0" * 64}))
    assert reasons(archive(sites).plan()) == {"no-manifest": 3, "told-otherwise": 1}
    assert going(archive(sites).plan()) == set()


def test_too_many_at_once_and_another_store_and_an_altered_list_are_refused(sites: Sites) -> None:
    two_clips(sites)
    sites.tell()
    sites.later(LATER)
    wanted = listed(archive(sites).plan(), sites.root)
    with pytest.raises(Reject, match="archive-too-many"):
        erase(archive(sites), wanted, most=10.0)
    with pytest.raises(Reject, match="archive-other-store"):
        erase(archive(sites), replace(wanted, place="elsewhere"))
    first, *lines = wanted.data.splitlines(keepends=True)
    for altered in (b"", first, first + lines[0], wanted.data.replace(b"0.mp4", b"9.mp4"), wanted.data[:-3]):
        with pytest.raises(Reject, match="archive-list"):
            lists.read(altered)
    assert len(left(sites)) == 2
    assert certificates(archive(sites).store) == {}


def test_two_clocks_that_differ_erase_nothing(sites: Sites) -> None:
    two_clips(sites)
    sites.tell()
    store = Dated(sites.root / "share", lambda: sites.now)
    ahead = Archive(store, (), lambda: sites.now + LATER, 7 * DAY)
    with pytest.raises(Stop, match="target-clock-differs"):
        ahead.plan()


class Killed(BaseException):
    """The archive ends here."""


class Mortal(Dated):
    """Dies at its `lives`-th change."""

    lives = 10**6

    def _step(self) -> None:
        self.lives -= 1
        if self.lives < 0:
            raise Killed

    def lay(self, path: str, data: bytes) -> bool:
        self._step()
        laid = super().lay(path, data)
        self._step()
        return laid

    def erase(self, path: str) -> int:
        self._step()
        gone = super().erase(path)
        self._step()
        return gone


def test_killed_between_any_two_steps_it_goes_on_with_the_same_certificate(sites: Sites) -> None:
    station = sites.station()
    for number in range(3):
        station.store(f"{number}.mp4", content(1000, number))
    sites.tell()
    sites.later(LATER)
    wanted = listed(archive(sites).plan(), sites.root)
    share, runs = sites.root / "share", 0
    for lives in range(1, 40):
        store = Mortal(share, lambda: sites.now)
        store.lives = lives
        try:
            done = erase(archive(sites, store), wanted)
        except Killed:
            runs += 1
            begun = [said for said in certificates(store).values() if said["state"] == "begun"]
            assert len(begun) <= 1
            assert begun or len(left(sites)) == 3  # laid before the first deletion
            continue
        assert runs > 3
        assert done.erased + done.absent == 3
        break
    assert left(sites) == set()
    assert len(certificates(store)) == 2
    with pytest.raises(Reject, match="archive-done"):
        erase(archive(sites), wanted)


def test_a_manifest_that_a_kill_left_alone_is_found_by_the_next_plan(sites: Sites) -> None:
    station, clip, _ = two_clips(sites)
    sites.tell()
    sites.later(LATER)
    (sites.root / "share/clips" / station.key(clip)).unlink()
    plan = archive(sites).plan()
    assert station.key(clip) in going(plan)
    assert erase(archive(sites), listed(plan, sites.root)).erased == 2
    assert left(sites) == set()


def test_no_station_sends_again_or_misses_what_its_own_rules_have_let_go(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    station, clip, lost = two_clips(sites)
    sites.tell()
    monkeypatch.setattr("time.time", station.clock.wall)
    (sites.root / "share/clips" / station.key(lost)).unlink()
    station.clock.epoch += 8 * DAY
    station.run()
    assert "lost-at-target" in [kind for kind, _ in station.events(lost)]
    assert len(left(sites)) == 2
    sites.later(LATER)
    station.clock.epoch += LATER
    assert erase(archive(sites), listed(archive(sites).plan(), sites.root)).erased == 2
    station.run()
    assert "lost-at-target" not in [kind for kind, _ in station.events(clip)]
    assert (station.state(clip), left(sites)) == ("confirmed", set())


def test_a_story_that_was_altered_protects_and_stops_nothing_else(sites: Sites) -> None:
    """Whatever stands in a line: it is told, and never a traceback."""
    station, *_ = two_clips(sites)
    number = hold(station, "officer", "P1", "2026-01-01T00:00", "2026-02-01T00:00")
    sites.tell()
    sites.later(LATER)
    [segment] = story(sites).glob("log/*")
    lines = segment.read_bytes().splitlines(keepends=True)
    for altered in (
        b"[]",
        b"{}",
        b"\xff",
        b"[" * 5000,
        lines[number - 1].replace(b"2026-01-01T00:00", b"soon"),
    ):
        segment.write_bytes(b"".join([*lines[: number - 1], altered.rstrip() + b"\n", *lines[number:]]))
        assert reasons(archive(sites).plan()) == {"story-damaged": 2}
    segment.write_bytes(
        b"".join(lines[:-1] + lines[-1:] * 2)
    )  # told twice, as a store that lost some may have it
    assert len(going(archive(sites).plan())) == 2


def test_rules_of_a_later_program_are_not_passed_over(sites: Sites) -> None:
    two_clips(sites)
    sites.tell()
    sites.later(LATER)
    [segment] = story(sites).glob("log/*")
    segment.write_bytes(
        segment.read_bytes().replace(b'"gives":"ordinary"', b'"gives":"ordinary","moon":"full"')
    )
    assert reasons(archive(sites).plan()) == {"kept-by-rule": 2}


def test_an_earlier_story_of_a_station_protects_as_well(sites: Sites) -> None:
    """Of a catalog that was lost: what it held, nobody has lifted."""
    station, *_ = two_clips(sites)
    hold(station, "recorder", "8888888")
    sites.tell()
    sites.later(LATER)
    before = story(sites).name
    new = story(sites).with_name("20990101T000000-00000000")
    shutil.copytree(story(sites), new)
    for segment in new.glob("log/*"):
        segment.write_bytes(segment.read_bytes().replace(b'"kind":"held"', b'"kind":"tick"'))
    events = sum(path.read_bytes().count(b"\n") for path in new.glob("log/*"))
    status(sites, story=new.name, events=events, of=events)
    assert reasons(archive(sites).plan()) == {"held": 2}
    shutil.rmtree(new.with_name(before))
    assert len(going(archive(sites).plan())) == 2


def test_a_story_that_is_told_again_counts_once(sites: Sites) -> None:
    """After its catalog was restored a station tells all of it again: what it lifts then is lifted."""
    station, *_ = two_clips(sites)
    number = hold(station, "recorder", "8888888")
    sites.tell()
    before = story(sites)
    old = before.with_name("20200101T000000-00000000")
    shutil.copytree(before, old)
    lift(station, number)
    sites.tell()
    sites.later(LATER)
    assert len(going(archive(sites).plan())) == 2
    [segment] = list(old.glob("log/*"))[-1:]
    segment.write_bytes(segment.read_bytes().replace(b'"since":""', b'"since":"2000-01-01"'))
    assert reasons(archive(sites).plan()) == {"held": 2}


def test_a_clip_that_two_stations_brought_goes_when_both_let_it_go(sites: Sites) -> None:
    station, other = sites.station(), sites.station(TWO)
    clips = [one.store("same.mp4", content(1000, 1)) for one in (station, other)]
    sites.tell()
    label(other, clips[1], case="A")
    sites.tell()
    sites.later(LATER)
    assert reasons(archive(sites).plan()) == {"kept-by-rule": 1}
    close_case(other, "A")
    sites.tell()
    for id in (ONE, TWO):
        sites.age(id)
    assert going(archive(sites).plan()) == {station.key(clips[0])}


def test_what_a_station_brought_after_the_list_was_made_stays_until_it_is_described(sites: Sites) -> None:
    station = sites.station()
    sites.station(TWO)
    station.store("same.mp4", content(1000, 1))
    sites.tell()
    sites.later(LATER)
    made = archive(sites)
    wanted = listed(made.plan(), sites.root)
    sites.stations[TWO].store("same.mp4", content(1000, 1))
    sites.tell()
    for id in (ONE, TWO):
        sites.age(id)
    assert [why for _, why in erase(made, wanted).kept] == ["story-gap"]


def test_a_rule_for_a_unit_or_a_source_keeps_clips_of_all_where_no_roster_is(sites: Sites) -> None:
    classes = {"long": {"centre": "400 days"}}
    rules = {
        "east": {"gives": "long", "unit": "East"},
        "rooms": {"gives": "long", "source": "interview-room"},
    }
    station = sites.station(rules=config(classes=classes, rules=rules))
    station.store("0.mp4", content(1000))
    sites.tell()
    sites.later(LATER)
    assert reasons(archive(sites).plan()) == {"kept-by-rule": 1}
    sites.later(400 * DAY - LATER)
    assert len(going(archive(sites).plan())) == 1
