"""What keeps a local copy is asked again in the commit that lets it go; the files follow the commit."""

import errno
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import removals
from agent.clock import OFF
from agent.retention.clockwatch import suspended
from agent.retention.release import Done
from tests.retained_house import DAY, House, Killed


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    """With one clip, which the centre confirmed 31 days ago, and proved just now."""
    (tmp_path / "house").mkdir()
    made = House(tmp_path / "house", 1)
    monkeypatch.setattr(time, "time", lambda: made.now)
    monkeypatch.setattr("agent.catalog.door.stamp", made.stamp)
    made.start()
    made.random.seed(3)
    made.dock()
    made.send()
    made.wait(31 * DAY)
    made.watch.now()
    assert made.release.step() == Done(0, 1)
    made.send()
    yield made
    made.close()


def clip(house: House) -> int:
    [one] = house.said.clips
    return one


def test_a_copy_goes_when_its_time_is_over_and_its_tombstone_stays(house: House) -> None:
    path = house.station.path(house.said.clips[clip(house)].key)
    assert house.release.step() == Done(1, 0)
    assert not path.exists()
    [(kind, facts)] = [one for one in house.station.events(clip(house)) if one[0] == "released"]
    assert kind == "released"
    assert facts["rule"] == "ordinary"
    assert facts["at"]["centre"].endswith(house.said.clips[clip(house)].key)
    assert (house.root / "share" / "clips" / house.said.clips[clip(house)].key).exists()


def test_a_hold_that_is_set_at_the_last_moment_is_seen(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    due = house.release._due

    def late(now: float) -> Iterator[int]:
        found = list(due(now))
        house.say("hold-set", scope="clip", value=clip(house))
        yield from found

    monkeypatch.setattr(house.release, "_due", late)
    assert house.release.step() == Done(0, 0)
    assert house.station.state(clip(house)) == "confirmed"


def test_nothing_goes_while_the_clock_is_not_trusted(house: House) -> None:
    house.trusted = False
    assert house.release.step() == Done(0, 0)


def test_a_file_that_a_crash_left_is_removed_at_the_next_start(house: House) -> None:
    path = house.station.path(house.said.clips[clip(house)].key)
    house.kill_in = 0
    with pytest.raises(Killed):
        house.release.step()
    assert house.station.state(clip(house)) == "released"
    assert path.exists()
    house.restart()
    house.release.remove()
    assert not path.exists()
    assert removals.waiting(house.catalog.read(), 0, 10) == []


def others_come_due(house: House) -> None:
    """Two more dockings, whose clips may go now."""
    for _ in range(2):
        house.dock()
    house.send()
    house.wait(31 * DAY)
    house.watch.now()
    house.release.step()  # asks
    house.send()


def test_a_crash_between_two_commits_leaves_nothing_that_is_not_removed(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.retention.release._GROUP", 1)
    others_come_due(house)
    house.kill_in = 1
    with pytest.raises(Killed):
        house.release.step()
    gone = [one for one in house.said.clips if not house.station.path(house.said.clips[one].key).exists()]
    assert len(gone) == 1
    house.restart()
    house.release.step()
    assert not any(house.station.path(account.key).exists() for account in house.said.clips.values())
    assert removals.waiting(house.catalog.read(), 0, 10) == []


def test_a_centre_that_is_asked_and_does_not_have_it_gets_it_again(house: House) -> None:
    there = house.root / "share" / "clips" / house.said.clips[clip(house)].key
    house.wait(2 * DAY)
    there.unlink()
    assert house.release.step() == Done(0, 1)
    house.send()
    assert house.release.step() == Done(0, 0)
    house.send()
    assert there.read_bytes() == house.said.clips[clip(house)].data


def test_while_room_is_short_what_was_confirmed_longest_goes_first_and_no_more_than_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "house").mkdir()
    house = House(tmp_path / "house", 1)
    monkeypatch.setattr(time, "time", lambda: house.now)
    monkeypatch.setattr("agent.catalog.door.stamp", house.stamp)
    house.start()
    for _ in range(3):
        house.dock()
        house.send()
        house.wait(3600)
    house.wait(DAY)
    house.watch.now()
    assert house.release.step() == Done(0, 0)
    house.disk = (5, 100, 0)
    assert house.release.step() == Done(0, 3)
    house.send()
    first = min(house.said.clips)
    assert house.release.step() == Done(1, 0)  # one is enough
    assert [clip for clip in house.said.clips if house.station.state(clip) == "released"] == [first]
    house.disk = (100, 100, 0)
    assert house.release.step() == Done(0, 0)
    house.close()


def test_a_clock_that_jumps_suspends_until_it_is_back_or_somebody_confirms_it(house: House) -> None:
    house.now += 3650 * DAY
    assert house.release.step() == Done(0, 0)
    assert not house.stamp().trusted
    house.wait(DAY / 4)
    assert house.release.step() == Done(0, 0)
    house.now = house.right
    assert house.release.step() == Done(1, 0)
    house.now += 2 * DAY
    assert house.watch.now() is None
    house.restart()
    assert house.watch.now() is None
    house.say("clock-confirm")
    assert house.watch.now() == house.now


def test_a_wrong_time_that_a_restart_met_is_never_what_the_clock_comes_back_to(house: House) -> None:
    """Who starts while the clock is wrong compares with nothing else: only a person can say what is right."""
    house.now += 3650 * DAY
    assert house.watch.now() is None
    house.restart()
    for ahead in (3650, 0, 3650, 0):
        house.now = house.right + ahead * DAY
        assert house.watch.now() is None
        assert house.release.step() == Done(0, 0)
        house.wait(3600)
    house.say("clock-confirm")
    assert house.watch.now() == house.now


@pytest.mark.parametrize(
    ("away", "machine", "jumped"),
    [
        (0.0, "another boot", False),
        (3 * DAY, "another boot", False),
        (-2 * DAY, "another boot", True),
        (OFF + DAY, "another boot", True),
        (0.0, "", False),
        (3 * DAY, "", True),  # only the agent was started anew: it jumped
    ],
)
def test_a_station_that_was_off_over_a_weekend_needs_nobody(
    house: House, monkeypatch: pytest.MonkeyPatch, away: float, machine: str, jumped: bool
) -> None:
    house.wait(7200)
    house.watch.now()
    house.now += away
    if machine:
        monkeypatch.setattr("agent.retention.clockwatch.boot_id", lambda: machine)
    house.restart()
    assert (house.watch.now() is None) is jumped
    assert suspended(house.catalog.read()) is jumped


def test_many_small_steps_are_a_large_one(house: House) -> None:
    house.watch.now()
    house.now += DAY * 0.9
    assert house.watch.now()
    house.now += DAY * 0.9
    assert house.watch.now() is None


def test_a_file_that_cannot_be_removed_is_told_and_keeps_no_other(house: House) -> None:
    first, path = clip(house), house.station.path(house.said.clips[clip(house)].key)
    path.unlink()
    path.mkdir()
    with pytest.raises(OSError, match="directory"):
        house.release.step()
    house.dock()
    house.send()
    house.wait(31 * DAY)
    house.watch.now()
    for _ in range(2):  # the centre is asked first
        with pytest.raises(OSError, match="directory"):
            house.release.step()
        house.send()
    [other] = set(house.said.clips) - {first}
    assert house.station.state(other) == "released"
    assert not house.station.path(house.said.clips[other].key).exists()
    path.rmdir()
    house.release.step()
    assert removals.waiting(house.catalog.read(), 0, 10) == []


def test_where_nothing_can_be_removed_no_more_is_released(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.retention.release._GROUP", 1)
    others_come_due(house)

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    with monkeypatch.context() as broken:
        broken.setattr(Path, "unlink", refused)
        with pytest.raises(OSError, match="Read-only"):
            house.release.step()
    assert [house.station.state(one) for one in house.said.clips].count("released") == 1
