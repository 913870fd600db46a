"""A sub-folder of the rack is a docked recorder, and nothing else there is."""

import os
import queue
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.dock.events import Arrived, Event, Left
from agent.dock.rack import RackSource

Next = Callable[[], Event]


@pytest.fixture
def rack(tmp_path: Path) -> Path:
    return tmp_path / "not/yet/there"


@pytest.fixture
def source(rack: Path) -> Iterator[RackSource]:
    source = RackSource(rack, reconcile=0.2)
    yield source
    source.stop()
    assert not source.alive()


@pytest.fixture
def told(source: RackSource, rack: Path) -> "queue.SimpleQueue[Event]":
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    rack.mkdir(parents=True)
    (rack / "there before").mkdir()
    source.start(events.put)
    assert arrived(events) == "rack:there before"
    return events


def arrived(events: "queue.SimpleQueue[Event]") -> str:
    event = events.get(timeout=20)
    assert isinstance(event, Arrived), event
    return event.device.port


def left(events: "queue.SimpleQueue[Event]") -> str:
    event = events.get(timeout=20)
    assert isinstance(event, Left), event
    return event.node


def test_the_rack_is_made_when_it_is_not_there(source: RackSource, rack: Path) -> None:
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    rack.parent.mkdir(parents=True)
    source.start(events.put)
    while not rack.exists():
        time.sleep(0.01)
    (rack / "1").mkdir()
    assert arrived(events) == "rack:1"


def test_a_folder_that_appears_is_docked_and_one_that_goes_is_pulled(
    told: "queue.SimpleQueue[Event]", rack: Path
) -> None:
    (rack / "1").mkdir()
    assert arrived(told) == "rack:1"
    (rack / "1").rmdir()
    assert str(rack / "1") in left(told)


def test_a_renamed_folder_changes_its_slot(told: "queue.SimpleQueue[Event]", rack: Path) -> None:
    (rack / "there before").rename(rack / "2")
    assert "there before" in left(told)
    assert arrived(told) == "rack:2"


def test_a_replaced_folder_is_another_recorder(told: "queue.SimpleQueue[Event]", rack: Path) -> None:
    (rack / "there before").rmdir()
    (rack / "there before").mkdir()
    node = left(told)
    event = told.get(timeout=20)
    assert isinstance(event, Arrived) and event.device.node != node


def test_links_files_and_hidden_folders_are_no_recorders(
    told: "queue.SimpleQueue[Event]", rack: Path, tmp_path: Path
) -> None:
    (rack / "link").symlink_to(tmp_path)
    (rack / "file").write_text("x")
    (rack / ".hidden").mkdir()
    os.mkfifo(rack / "fifo")
    (rack / "zz").mkdir()
    assert arrived(told) == "rack:zz"


def test_a_rack_that_was_taken_away_and_made_again_is_watched(
    told: "queue.SimpleQueue[Event]", rack: Path
) -> None:
    shutil.rmtree(rack)
    left(told)
    rack.mkdir(exist_ok=True)
    (rack / "1").mkdir()
    assert arrived(told) == "rack:1"
    (rack / "1").rename(rack / "2")
    left(told)
    assert arrived(told) == "rack:2"
