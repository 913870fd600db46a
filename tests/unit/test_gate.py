"""Whose turn it is to copy: who came first, but for who was asked for; and nobody is left out."""

import threading
from pathlib import Path

import pytest

from agent.catalog import priority
from agent.errors import DeviceGone
from agent.ingest.gate import Gate
from tests.dockside import Dockside, Heard, recorder
from tests.uploading import eventually

BIG = 9 << 20  # bytes: two parts, each with a turn of its own


class Queue:
    """A gate whose copiers are taken until the test lets one go, and who then came in, in order."""

    def __init__(self, total: int = 1, per_controller: int = 1) -> None:
        self.gate = Gate(lambda: (total, per_controller))
        self.came: list[str] = []
        self.first: set[str] = set()
        self.free = threading.Event()
        self.threads: list[threading.Thread] = []
        self._start("taken", "a", self.free)
        eventually(lambda: self.came == ["taken"])

    def _start(self, name: str, controller: str, until: threading.Event | None) -> None:
        thread = threading.Thread(target=self._copy, args=(name, controller, until))
        self.threads.append(thread)
        thread.start()

    def _copy(self, name: str, controller: str, until: threading.Event | None) -> None:
        with self.gate.turn(controller, lambda: None, lambda: name in self.first):
            self.came.append(name)
            if until:
                until.wait(60)

    def wait(self, name: str, controller: str = "a") -> None:
        before = len(self.gate._waiting)
        self._start(name, controller, None)
        eventually(lambda: len(self.gate._waiting) > before or name in self.came)

    def end(self) -> list[str]:
        self.free.set()
        for thread in self.threads:
            thread.join(60)
        return self.came[1:]


def test_who_came_first_goes_first() -> None:
    queue = Queue()
    for name in ("1", "2", "3"):
        queue.wait(name)
    assert queue.end() == ["1", "2", "3"]


def test_who_is_asked_for_while_it_waits_goes_before_the_others_and_nobody_is_left_out() -> None:
    queue = Queue()
    for name in ("1", "2", "3", "4"):
        queue.wait(name)
    queue.first = {"3", "4"}
    assert queue.end() == ["3", "4", "1", "2"]


def test_who_is_asked_for_waits_for_its_controller_and_holds_up_no_other_one() -> None:
    queue = Queue(total=2, per_controller=1)
    queue.first = {"1"}
    queue.wait("1", "a")
    queue.wait("2", "b")
    eventually(lambda: queue.came == ["taken", "2"])
    assert queue.end() == ["2", "1"]


@pytest.fixture
def side(tmp_path: Path) -> Dockside:
    return Dockside(tmp_path / "station")


def firsts(side: Dockside, monkeypatch: pytest.MonkeyPatch, order_at: int = 0) -> list[bool]:
    """Whether each turn of what is docked was one that goes first; the order is given in the `order_at`th."""
    found: list[bool] = []
    turn = Gate.turn

    def seen(gate: Gate, controller: str, beat: object, first: object = lambda: False) -> object:
        if gate is side.ingest.gate:  # not the one of the proofs
            found.append(first())  # type: ignore[operator]
        if len(found) == order_at:
            side.catalog.write(lambda tx: priority.first_of_slot(tx, "1", "uid 0"))
        return turn(gate, controller, beat, first)  # type: ignore[arg-type]

    monkeypatch.setattr(Gate, "turn", seen)
    return found


def test_a_recorder_is_read_first_once_somebody_asked_for_its_slot(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.ingest.collect._LOOK", 0.0)
    found = firsts(side, monkeypatch, order_at=1)
    assert side.dock(recorder(tmp_path / "rec", {"DCIM/a.mp4": BIG}), slot="1")[0]
    assert found == [False, True]
    side.close()


def test_a_recorder_that_was_asked_for_is_read_first_at_its_next_docking_too(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = recorder(tmp_path / "rec", {"DCIM/a.mp4": BIG, "DCIM/b.mp4": BIG})
    firsts(side, monkeypatch, order_at=1)
    with pytest.raises(DeviceGone):
        side.dock(folder, Heard(pull_after=BIG // 2), slot="1")
    found = firsts(side, monkeypatch)
    assert side.dock(folder, slot="2")[0]
    assert found and all(found)
    found.clear()
    other = recorder(tmp_path / "other", {"DCIM/a.mp4": BIG})
    assert side.dock(other, slot="3", card="7777-7777")[0]
    assert not any(found)
    side.close()
