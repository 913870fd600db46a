"""What a station tells the centre: all of its story, once, whatever comes between, and nobody else's."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent.catalog import Catalog, intake, places, story
from agent.catalog.deliveries import PlaceChanged
from agent.errors import Stopping, Transient
from agent.upload.report import turn
from agent.upload.report.turn import Author, Report
from agent.upload.targets.base import Check, go_on
from agent.upload.targets.folder import FolderTarget
from tests import centre
from tests.uploading import WHO, Counted, Station, content

ID = "0123456789abcdef0123456789abcdef"


@pytest.fixture
def station(tmp_path: Path) -> Iterator[Station]:
    made = Station(tmp_path)
    yield made
    made.close()


def report(station: Station, instance: str = "one", check: Check = go_on, who: str = ID) -> Report:
    author = Author(who, instance, lambda: {"station": "东站", "clips": {}})
    target = station.targets["centre"]
    assert isinstance(target, FolderTarget)
    return Report(author, station.uploads.generation, target, check, station.clock)


def accept(station: Station, place: str) -> None:
    station.catalog.write(lambda tx: places.accept(tx, "centre", place, "uid 0"))


def below(station: Station) -> dict[str, bytes]:
    """Every document at the centre, by its path."""
    root = station.share / "stations"
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def fetch(station: Station, path: str) -> bytes | None:
    file = station.share / path
    return file.read_bytes() if file.exists() else None


def told(station: Station, story: str = "") -> list[centre.Event]:
    return centre.events(lambda path: fetch(station, path), ID, story)


def happened(station: Station) -> list[dict[str, Any]]:
    rows = station.catalog.read().execute("SELECT * FROM events ORDER BY seq")
    return [
        {**dict(row), "body": json.loads(row["body"]), "clock_trusted": bool(row["clock_trusted"])}
        for row in rows
    ]


def stories(station: Station) -> set[str]:
    return {path.split("/")[1] for path in below(station) if path.count("/") > 1}


def segments(station: Station) -> list[str]:
    return sorted(path.rpartition("/")[2] for path in below(station) if "/log/" in path)


def test_the_centre_holds_every_event_after_each_turn(station: Station) -> None:
    reporting = report(station)
    for number in range(3):
        station.store(f"{number}.mp4", content(1000, number))
        station.run()
        assert reporting.turn()
        assert told(station) == happened(station) != []
    assert len(segments(station)) == 3


def test_nothing_but_the_status_is_written_when_nothing_happened(station: Station) -> None:
    station.store("1.mp4", content(1000))
    station.run()
    reporting = report(station)
    reporting.turn()
    before = {path: (station.share / "stations" / path).stat() for path in below(station)}
    reporting.turn()
    after = {path: (station.share / "stations" / path).stat() for path in below(station)}
    assert {path for path in after if after[path].st_ino != before[path].st_ino} == {f"{ID}/status.json"}
    assert after.keys() == before.keys()


def test_a_target_that_did_not_say_who_it_is_is_told_nothing(station: Station) -> None:
    station.store("1.mp4", content(1000))
    assert not report(station).turn()
    assert not any(station.share.iterdir())


def test_a_store_that_nobody_accepted_is_told_nothing(station: Station, tmp_path: Path) -> None:
    station.run()
    reporting = report(station)
    reporting.turn()
    station.share.rename(tmp_path / "first")
    station.share.mkdir()
    other = FolderTarget("centre", station.share, first_contact=True).place()
    station.store("1.mp4", content(1000))
    with pytest.raises(PlaceChanged):
        reporting.turn()
    assert not (station.share / "stations").exists()

    accept(station, other)
    station.uploads = station.make_uploads()
    station.run()
    assert report(station).turn()
    assert told(station) == happened(station)


def test_back_at_the_first_place_the_story_goes_on_where_it_was(station: Station, tmp_path: Path) -> None:
    station.store("1.mp4", content(1000))
    station.run()
    report(station).turn()
    first = station.uploads.generation.place("centre")
    before = stories(station)
    station.share.rename(tmp_path / "first")
    station.share.mkdir()
    other = FolderTarget("centre", station.share, first_contact=True).place()
    for place, share in ((other, None), (first, tmp_path / "first")):
        accept(station, place)
        if share is not None:
            station.share.rename(tmp_path / "second")
            share.rename(station.share)
        station.uploads = station.make_uploads()
        station.run()
        report(station).turn()
        assert told(station) == happened(station)
    assert stories(station) == before


class Dies(Exception):
    """The agent is killed here."""


class Mortal(Counted):
    """A share at which the agent is killed after so many documents; with `before`, right before the last."""

    left = 10**9
    before = False

    def lay(self, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        self.left -= 1
        if self.left < 0 and self.before:
            raise Dies
        done = super().lay(path, data, replace=replace, check=check)
        if self.left < 0:
            raise Dies
        return done


@pytest.mark.parametrize("before", [True, False])
@pytest.mark.parametrize("documents", range(6))
def test_a_crash_between_any_two_writes_loses_and_alters_no_event(
    tmp_path: Path, documents: int, before: bool
) -> None:
    (tmp_path / "share").mkdir()
    share = Mortal("centre", tmp_path / "share", first_contact=True)
    station = Station(tmp_path, {"centre": share})
    station.share = tmp_path / "share"
    station.store("1.mp4", content(1000))
    station.run()
    share.left, share.before = documents, before
    reporting, turns = report(station), 0
    with pytest.raises(Dies):
        while turns < 10:
            reporting.turn()
            turns += 1
    laid = {path: data for path, data in below(station).items() if "/log/" in path}
    share.left = 10**9
    station.store("2.mp4", content(2000))
    station.run()
    report(station, "two").turn()
    assert told(station) == happened(station)
    after = below(station)
    assert {path: after[path] for path in laid} == laid
    assert len(stories(station)) == 1
    keys = {row[0] for row in station.catalog.read().execute("SELECT key FROM clips")}
    assert {line["key"] for line in clips(station) if line["state"] == "confirmed"} == keys
    station.close()


def clips(station: Station) -> list[dict[str, Any]]:
    return [line for path, data in below(station).items() if "/clips/" in path for line in centre.lines(data)]


def test_clips_and_dockings_are_found_by_day_officer_and_digest(station: Station) -> None:
    one, two = (station.store(f"{n}.mp4", content(1000, n)) for n in range(2))
    reporting = report(station)
    station.run()
    reporting.turn()
    assert {(line["key"], line["state"]) for line in clips(station)} == {
        (station.key(clip), "confirmed") for clip in (one, two)
    }
    rows = station.catalog.read().execute("SELECT id, lower(hex(sha256)), docking FROM clips").fetchall()
    assert {(line["clip"], line["sha256"], line["docking"]) for line in clips(station)} == set(
        map(tuple, rows)
    )
    day = story.day_of(station.clock.wall())
    [path] = [path for path in below(station) if "/dockings/" in path]
    assert path.endswith(f"/dockings/{day}.jsonl")
    assert [line["recorder"] for line in centre.lines(below(station)[path])] == ["8888888"] * 2
    station.catalog.write(lambda tx: intake.end_docking(tx, 1, "collected"))
    reporting.turn()
    outcomes = [line["outcome"] for line in centre.lines(below(station)[path])]
    assert outcomes == ["collected", None]


def test_a_docking_with_many_clips_is_told_in_pages(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "PAGE", 2)
    made = [station.store(f"{n}.mp4", content(1000, n)) for n in range(5)]
    station.catalog.write(lambda tx: tx.execute("UPDATE clips SET docking = 1"))
    station.run()
    report(station).turn()
    assert sorted(line["clip"] for line in clips(station)) == made
    names = sorted(path.rpartition("/")[2] for path in below(station) if "/clips/" in path)
    assert names == ["000001-2.jsonl", "000001-3.jsonl", "000001.jsonl"]


@pytest.mark.parametrize(("name", "bound"), [("MOST", 7), ("LARGEST", 900)])
def test_a_long_story_is_told_in_segments_of_bounded_size(
    station: Station, monkeypatch: pytest.MonkeyPatch, name: str, bound: int
) -> None:
    monkeypatch.setattr(story, name, bound)
    for number in range(5):
        station.store(f"{number}.mp4", content(1000, number))
    station.run()
    report(station).turn()
    assert told(station) == happened(station)
    sizes = [len(data) for path, data in below(station).items() if "/log/" in path]
    assert len(sizes) > 4
    assert name == "MOST" or max(sizes) <= bound


def test_a_turn_ends_before_a_long_story_and_the_next_goes_on(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(story, "MOST", 3)
    monkeypatch.setattr(turn, "_LONGEST", 2.5)
    station.store("1.mp4", content(1000))
    station.run()

    def check() -> None:
        station.clock.now += 0.25  # a share that takes its time

    reporting = report(station, check=check)
    seen: list[int] = []
    while len(seen) < 2 or seen[-1] != seen[-2]:
        reporting.turn()
        seen.append(len(told(station)))
        assert centre.status(lambda path: fetch(station, path), ID)["events"] == seen[-1]
    assert seen[0] < seen[-1] == len(happened(station))


def test_a_centre_that_was_restored_from_an_old_copy_gets_what_it_lost(
    station: Station, tmp_path: Path
) -> None:
    reporting = report(station)
    for number in range(3):
        station.store(f"{number}.mp4", content(1000, number))
        station.run()
        reporting.turn()
        if number == 0:
            shutil.copytree(station.share, tmp_path / "copy")
    shutil.rmtree(station.share)
    (tmp_path / "copy").rename(station.share)
    station.clock.now += turn.DAY
    reporting.turn()
    assert told(station) == happened(station)
    assert len(stories(station)) == 1
    assert not reporting.written_by_two()


def test_laying_again_what_a_centre_lost_goes_on_after_an_error(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    reporting = report(station)
    for number in range(3):
        station.store(f"{number}.mp4", content(1000, number))
        station.run()
        reporting.turn()
    for name in segments(station)[1:]:
        [path] = (station.share / "stations").rglob(f"log/{name}")
        path.unlink()
    station.clock.now += turn.DAY
    real = Counted.lay

    def lay(self: Counted, path: str, data: bytes, *, replace: bool, check: Check = go_on) -> bool:
        done = real(self, path, data, replace=replace, check=check)
        if done and not replace:
            raise Transient
        return done

    monkeypatch.setattr(Counted, "lay", lay)
    with pytest.raises(Transient):
        reporting.turn()
    monkeypatch.undo()
    reporting.turn()
    assert told(station) == happened(station)
    assert not reporting.written_by_two()


def test_another_catalog_begins_another_story_and_leaves_the_first_alone(
    station: Station, tmp_path: Path
) -> None:
    """It was rebuilt: the same numbers are other events now."""
    station.store("1.mp4", content(1000))
    station.run()
    report(station).turn()
    first, [name] = below(station), stories(station)
    station.catalog.close()
    station.catalog = Catalog.open(tmp_path / "rebuilt.db")
    station.uploads = station.make_uploads()
    station.store("2.mp4", content(2000))
    station.run()
    second = report(station, "two")
    second.turn()
    assert told(station) == happened(station)
    assert len(stories(station)) == 2
    after = below(station)
    assert {path: after[path] for path in first if name in path} == {
        path: data for path, data in first.items() if name in path
    }
    assert not second.written_by_two()


def test_two_stations_in_one_store_do_not_disturb_each_other(station: Station, tmp_path: Path) -> None:
    other = Station(tmp_path / "other", {"centre": Counted("centre", station.share, first_contact=True)})
    for number in range(3):
        for one, who in ((station, ID), (other, "f" * 32)):
            one.store(f"{number}.mp4", content(1000 + (one is other), number))
            one.run()
            reporting = report(one, who=who)
            reporting.turn()
            assert not reporting.written_by_two()
    assert told(station) == happened(station)
    assert centre.events(lambda path: fetch(station, path), "f" * 32) == happened(other)
    other.close()


@pytest.fixture
def twin(station: Station, tmp_path: Path) -> Iterator[Station]:
    """Made from a copy of the station's disk, and told the centre something since then: at the same store."""
    station.store("1.mp4", content(1000))
    station.run()
    report(station).turn()
    shutil.copytree(tmp_path / "store", tmp_path / "twin" / "store")
    station.catalog.write(lambda tx: None)
    station.catalog.read().execute("VACUUM INTO ?", (str(tmp_path / "twin" / "catalog.db"),))
    made = Station(tmp_path / "twin", {"centre": Counted("centre", station.share, first_contact=False)})
    made.share = station.share
    yield made
    made.close()


def test_a_copy_of_the_disk_is_noticed_and_overwrites_no_story(station: Station, twin: Station) -> None:
    mine, its = report(station, "mine"), report(twin, "its")
    for number in range(2, 5):
        for one, reporting in ((station, mine), (twin, its)):
            one.store(f"{number}.mp4", content(1000 + (one is twin), number))
            one.run()
            reporting.turn()
    assert its.written_by_two()
    assert mine.written_by_two()
    assert len(stories(station)) == 2
    whole = [told(station, name) for name in sorted(stories(station))]
    assert happened(station) in whole
    assert happened(twin) in whole


def test_two_that_only_replace_each_other_s_status_are_noticed(station: Station, twin: Station) -> None:
    mine, its = report(station, "mine"), report(twin, "its")
    for _ in range(3):
        station.run()
        mine.turn()
        twin.run()
        its.turn()
    assert mine.written_by_two()
    assert its.written_by_two()
    for _ in range(2):  # the other one has been switched off
        mine.turn()
        station.clock.now += turn.DAY
    assert not mine.written_by_two()


def test_a_segment_that_was_altered_at_the_centre_is_left_as_it_is_and_the_whole_story_told_anew(
    station: Station,
) -> None:
    station.store("1.mp4", content(1000))
    station.run()
    report(station).turn()
    [path] = [path for path in below(station) if "/log/" in path]
    altered = below(station)[path].replace(b"8888888", b"9999999")
    (station.share / "stations" / path).write_bytes(altered)
    again = report(station, "two")
    again.turn()
    assert again.written_by_two()
    assert told(station) == happened(station)
    assert below(station)[path] == altered


def test_a_turn_that_must_end_notes_nothing(station: Station) -> None:
    station.store("1.mp4", content(1000))
    station.run()

    def check() -> None:
        raise Stopping

    with pytest.raises(Stopping):
        report(station, check=check).turn()
    assert not (station.share / "stations").exists()


def test_a_segment_that_comes_back_otherwise_every_time_is_no_reason_for_another_story(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bits flip on the way; only what is there is somebody's."""
    station.store("1.mp4", content(1000))
    station.run()
    reporting = report(station)
    reporting.turn()
    place = station.uploads.generation.place("centre")
    known = story.told(station.catalog.read(), "centre", place)
    assert known is not None
    station.catalog.write(lambda tx: story.keep(tx, "centre", place, replace(known, next=1, last=0)))
    flips = iter(range(10**6))
    real = Counted.fetch

    def flipped(self: Counted, path: str, check: Check = go_on) -> bytes | None:
        data = real(self, path, check)
        return data and bytes([next(flips) % 256]) + data[1:]

    monkeypatch.setattr(Counted, "fetch", flipped)
    with pytest.raises(Transient):
        reporting.turn()
    monkeypatch.undo()
    reporting.turn()
    assert len(stories(station)) == 1
    assert not reporting.written_by_two()


def test_the_status_says_who_wrote_when_and_how_far_the_log_goes(station: Station) -> None:
    station.store("1.mp4", content(1000))
    station.run()
    report(station).turn()
    said = centre.status(lambda path: fetch(station, path), ID)
    assert {said["format"], said["events"]} == {turn.FORMAT, len(happened(station))}
    assert (said["id"], said["instance"], said["station"]) == (ID, "one", "东站")
    assert {said["story"]} == stories(station)
    assert WHO.recorder not in json.dumps(said)
