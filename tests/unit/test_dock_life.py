"""From docking to pulling: what a slot shows, and that no recorder disturbs another one's slot."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.dock.docking import Docking
from agent.dock.rack import RackSource
from agent.errors import DeviceGone, Locked, NoRoom, StoreFull
from agent.model import Device, Identity, Reporter, SlotState
from drivers.base import Session
from tests.dock_house import PATIENCE, House, Settings, Slot, disk, folder, house, volume

S = SlotState


@dataclass
class Work:
    """A `collect` that does what the test wrote for the slot; else it collects everything at once."""

    dockings: list[Docking] = field(default_factory=list)
    orders: dict[str, object] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, session: Session, docking: Docking, reporter: Reporter) -> bool:
        with self.lock:
            self.dockings.append(docking)
        reporter.identified(Identity("8888888", True, "fs"))
        reporter.listed(2, 200)
        order = self.orders.get(docking.slot)
        if callable(order):
            return bool(order(reporter))
        reporter.advanced(200)
        reporter.finished(2)
        return True


@pytest.fixture
def work() -> Work:
    return Work()


@pytest.fixture
def station(tmp_path: Path, work: Work) -> Iterator[House]:
    with house(tmp_path, work) as built:
        yield built


def hold(reporter: Reporter) -> bool:
    """Copy for ever, one file done."""
    reporter.finished(1)
    while True:
        reporter.check()
        threading.Event().wait(0.005)


def test_a_docked_recorder_is_collected_and_its_pulled_slot_is_free(station: House) -> None:
    device = volume("/dev/sda1")
    station.hand.plug(device)
    shown = station.until("p", S.COLLECTED)
    assert (shown.recorder, shown.files_done, shown.bytes_done) == ("8888888", 2, 200)
    assert station.shelf.returned == ["/dev/sda1"]
    station.hand.pull(device)
    assert station.until("p", S.EMPTY).problems == ()


def test_a_recorder_pulled_while_copying_leaves_a_free_slot_that_says_so(station: House, work: Work) -> None:
    work.orders["p"] = hold
    device = volume("/dev/sda1")
    station.hand.plug(device)
    station.until("p", S.COLLECTING)
    station.hand.pull(device)
    (problem,) = station.until("p", S.EMPTY, problem="pulled-early").problems
    assert problem.params == {"files": 1}
    assert station.when(lambda: station.shelf.returned) == ["/dev/sda1"]


def test_a_driver_that_sees_the_pull_first_ends_the_docking(station: House, work: Work) -> None:
    def gone(reporter: Reporter) -> bool:
        raise DeviceGone

    work.orders["p"] = gone
    station.hand.plug(volume("/dev/sda1"))
    assert station.until("p", S.EMPTY, problem="pulled-early").problems[0].params == {"files": 2}


def test_what_could_not_be_collected_makes_the_slot_incomplete(station: House, work: Work) -> None:
    def some(reporter: Reporter) -> bool:
        reporter.problem("unreadable", path="a", bytes=1)
        return False

    work.orders["p"] = some
    device = volume("/dev/sda1")
    station.hand.plug(device)
    assert [p.key for p in station.until("p", S.INCOMPLETE).problems] == ["unreadable"]
    station.hand.pull(device)
    assert station.until("p", S.EMPTY).problems == ()


def test_ten_thousand_problems_are_counted_not_listed(station: House, work: Work) -> None:
    def many(reporter: Reporter) -> bool:
        for i in range(10_000):
            reporter.problem("unreadable", path=str(i), bytes=1)
        return False

    work.orders["p"] = many
    station.hand.plug(volume("/dev/sda1"))
    problems = station.until("p", S.INCOMPLETE).problems
    assert len(problems) == 21
    assert (problems[-1].key, problems[-1].params) == ("more-problems", {"count": 9980})


def test_a_fault_in_one_slot_stays_in_it(station: House, work: Work) -> None:
    def fault(reporter: Reporter) -> bool:
        raise ZeroDivisionError("a bug")

    work.orders["bad"] = fault
    station.hand.plug(volume("/dev/sda1", "bad"))
    station.hand.plug(volume("/dev/sdb1", "good"))
    (problem,) = station.until("bad", S.FAILED).problems
    assert (problem.key, problem.params) == ("internal", {"error": "a bug"})
    station.until("good", S.COLLECTED)
    assert sorted(station.shelf.returned) == ["/dev/sda1", "/dev/sdb1"]


def test_a_locked_recorder_says_so(station: House, work: Work) -> None:
    def locked(reporter: Reporter) -> bool:
        raise Locked

    work.orders["p"] = locked
    station.hand.plug(volume("/dev/sda1"))
    station.until("p", S.LOCKED, problem="locked")


@pytest.mark.parametrize(("fs_type", "problem"), [("", "no-file-system"), ("zfs", "unknown-file-system")])
def test_a_disk_that_cannot_be_read_says_why(station: House, fs_type: str, problem: str) -> None:
    device = disk("/dev/sda", fs_type=fs_type)
    station.hand.plug(device)
    station.until("p", S.FAILED, problem=problem)
    station.hand.pull(device)
    assert station.until("p", S.EMPTY).problems == ()


@pytest.mark.parametrize("late", [False, True])
def test_a_disk_is_not_blamed_when_its_partitions_come(station: House, late: bool) -> None:
    station.hand.plug(disk("/dev/sda", sysfs="/sys/block/sda"))
    if late:
        station.until("p", S.FAILED)
    station.hand.plug(volume("/dev/sda1", sysfs="/sys/block/sda/sda1"))
    assert station.until("p", S.COLLECTED).problems == ()
    station.hand.pull(disk("/dev/sda"))
    station.hand.pull(volume("/dev/sda1"))
    assert station.until("p", S.EMPTY).problems == ()


def test_a_disk_of_another_name_is_not_taken_for_the_whole(station: House) -> None:
    station.hand.plug(disk("/dev/sda", sysfs="/sys/block/sda"))
    station.hand.plug(volume("/dev/sdaa1", sysfs="/sys/block/sdaa/sdaa1"))
    station.until("p", S.INCOMPLETE, problem="no-file-system")


def test_all_volumes_of_a_recorder_are_one_docking(station: House, work: Work) -> None:
    first, second = volume("/dev/sda1"), volume("/dev/sdb1", lun=1)
    goes_on = threading.Event()
    work.orders["p"] = lambda reporter: goes_on.wait(PATIENCE)
    station.hand.plug(first)
    station.hand.plug(second)
    station.until("p", S.COLLECTING)
    goes_on.set()
    shown = station.until("p", S.COLLECTED)
    assert shown.files_total == 4
    assert [d.device for d in work.dockings] == [first, second]
    assert len({d.id for d in work.dockings}) == 1


def test_collected_is_withdrawn_when_another_volume_arrives(station: House, work: Work) -> None:
    station.hand.plug(volume("/dev/sda1"))
    station.until("p", S.COLLECTED)
    goes_on = threading.Event()
    work.orders["p"] = lambda reporter: goes_on.wait(PATIENCE)
    station.hand.plug(volume("/dev/sdb1", lun=1))
    station.until("p", S.IDENTIFYING, S.COLLECTING)
    goes_on.set()
    assert station.until("p", S.COLLECTED).files_total == 4


def test_a_volume_that_fails_beside_one_that_is_collected_is_shown(station: House) -> None:
    station.hand.plug(volume("/dev/sda1"))
    station.hand.plug(disk("/dev/sda2"))
    station.until("p", S.INCOMPLETE, problem="no-file-system")


def test_docking_again_in_the_same_slot_is_another_docking(station: House, work: Work) -> None:
    device = volume("/dev/sda1")
    for _ in range(2):
        station.hand.plug(device)
        station.until("p", S.COLLECTED)
        station.hand.pull(device)
        station.until("p", S.EMPTY)
    assert len({d.id for d in work.dockings}) == 2


def test_a_recorder_that_still_records_is_read_again(station: House, work: Work) -> None:
    def growing(reporter: Reporter) -> bool:
        if len(work.dockings) < 3:
            reporter.problem("still-recording", path="a")
            return False
        reporter.advanced(200)
        reporter.finished(2)
        return True

    work.orders["p"] = growing
    station.hand.plug(volume("/dev/sda1"))
    shown = station.until("p", S.COLLECTED)
    assert (shown.files_total, shown.files_done, shown.problems) == (2, 2, ())
    # A mount does not see what the recorder wrote since: it is mounted anew each time.
    assert len(station.shelf.returned) == 3


def test_a_full_store_is_tried_again_while_the_recorder_stays(station: House, work: Work) -> None:
    def full(reporter: Reporter) -> bool:
        if len(work.dockings) < 2:
            raise StoreFull(free=1)
        return True

    work.orders["p"] = full
    station.hand.plug(volume("/dev/sda1"))
    assert station.until("p", S.COLLECTED).problems == ()


def test_a_refused_recorder_is_collected_once_there_is_room(station: House, work: Work) -> None:
    def full(reporter: Reporter) -> bool:
        if len(work.dockings) < 3:
            raise NoRoom(free=1)
        return True

    work.orders["p"] = full
    station.hand.plug(volume("/dev/sda1"))
    station.until("p", S.INCOMPLETE, problem="no-room")
    assert station.until("p", S.COLLECTED).problems == ()


def test_a_refused_recorder_may_be_taken_elsewhere_and_was_not_pulled_early(
    tmp_path: Path, work: Work
) -> None:
    def full(reporter: Reporter) -> bool:
        raise NoRoom(free=1)

    work.orders["p"] = full
    with house(tmp_path, work, again=1000) as station:
        device = volume("/dev/sda1")
        station.hand.plug(device)
        station.until("p", S.INCOMPLETE, problem="no-room")
        station.hand.pull(device)
        assert station.until("p", S.EMPTY).problems == ()


def test_a_recorder_taken_before_its_next_try_was_pulled_early(tmp_path: Path, work: Work) -> None:
    def growing(reporter: Reporter) -> bool:
        reporter.problem("still-recording", path="a")
        return False

    work.orders["p"] = growing
    with house(tmp_path, work, again=1000) as station:
        device = volume("/dev/sda1")
        station.hand.plug(device)
        station.until("p", S.INCOMPLETE, problem="still-recording")
        station.hand.pull(device)
        station.until("p", S.EMPTY, problem="pulled-early")


def test_thirty_two_recorders_at_once_each_have_their_slot(station: House, work: Work) -> None:
    together = threading.Barrier(32)
    for i in range(32):
        work.orders[str(i)] = lambda reporter: together.wait(PATIENCE) >= 0
        station.hand.plug(volume(f"/dev/x{i}", str(i)))
    for i in range(32):
        station.until(str(i), S.COLLECTED)
    assert len({d.id for d in work.dockings}) == 32


def test_a_folder_of_the_rack_goes_the_same_way(tmp_path: Path, work: Work) -> None:
    rack = tmp_path / "rack"
    with house(tmp_path, work, sources=(RackSource(rack, reconcile=0.2),)) as station:
        (rack / "7").mkdir(parents=True)
        station.until("7", S.COLLECTED)
        (rack / "7").rmdir()
        station.until("7", S.EMPTY)


def test_a_waiting_recorder_owes_no_heartbeat_and_a_working_one_does(station: House, work: Work) -> None:
    work.orders["busy"] = hold
    station.hand.plug(volume("/dev/sda1", "idle"))
    station.hand.plug(volume("/dev/sdb1", "busy"))
    station.until("idle", S.COLLECTED)
    station.until("busy", S.COLLECTING)
    beats = station.when(lambda: "slot idle" not in (beats := station.dock.beats()) and beats)
    assert beats.keys() == {"dock", "source hand", "slot busy"}


def test_a_recorder_is_not_collected_while_a_part_of_it_is_still_to_come(tmp_path: Path, work: Work) -> None:
    looked = threading.Semaphore(0)
    parts = {"sdb"}

    def awaited(device: Device) -> set[str]:
        looked.release()
        return parts

    with house(tmp_path, work, awaited=awaited) as station:
        station.hand.plug(volume("/dev/sda1"))
        for _ in range(3):
            assert looked.acquire(timeout=PATIENCE)
            assert station.until("p", S.COLLECTING)
        parts.clear()
        station.until("p", S.COLLECTED)


def test_a_part_that_does_not_come_makes_the_slot_incomplete_until_it_does(
    tmp_path: Path, work: Work
) -> None:
    parts = {"sdb"}
    with house(tmp_path, work, awaited=lambda device: parts, patience=0.1) as station:
        station.hand.plug(volume("/dev/sda1"))
        (problem,) = station.until("p", S.INCOMPLETE).problems
        assert (problem.key, problem.params) == ("part-not-ready", {"part": "sdb"})
        parts.clear()
        station.hand.plug(volume("/dev/sdb", lun=1))
        assert station.until("p", S.COLLECTED).problems == ()


class Stuck:
    """A `collect` in the kernel: no heartbeat until the test lets go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self, reporter: Reporter) -> bool:
        self.let_go.wait(PATIENCE)
        reporter.check()
        return True


@pytest.fixture
def hurried(tmp_path: Path, work: Work) -> Iterator[House]:
    """Gives up after a fifth of a second."""
    with house(tmp_path, work, settings=Settings(stuck_after=0.2)) as built:
        yield built


def test_a_stuck_slot_is_disconnected_shown_and_not_waited_for(hurried: House, work: Work) -> None:
    stuck = work.orders["p"] = Stuck()
    device = volume("/dev/sda1")
    hurried.hand.plug(device)
    hurried.hand.plug(volume("/dev/sdb1", "other"))
    hurried.until("p", S.STUCK, problem="stuck")
    hurried.until("other", S.COLLECTED)
    assert hurried.when(lambda: hurried.shelf.disconnected) == ["/dev/sda1"]
    assert "slot p" not in hurried.dock.beats()

    hurried.hand.pull(device)
    hurried.until("p", S.EMPTY)
    work.orders["p"] = None
    hurried.hand.plug(device)
    hurried.until("p", S.COLLECTED)

    stuck.let_go.set()
    hurried.when(lambda: hurried.shelf.returned.count("/dev/sda1") == 2)
    assert hurried.dock.stop(PATIENCE) == []
    hurried.until("p", S.COLLECTED)


def test_a_stuck_slot_stays_so_until_the_recorder_itself_is_pulled(
    hurried: House, work: Work, tmp_path: Path
) -> None:
    usb = hurried.shelf.usb = tmp_path / "1-3"
    usb.mkdir()
    stuck = work.orders["p"] = Stuck()
    device = volume("/dev/sda1")
    hurried.hand.plug(device)
    hurried.until("p", S.STUCK)
    hurried.hand.pull(device)  # what disconnecting does
    hurried.hand.plug(volume("/dev/sdb1", "other"))
    hurried.until("other", S.COLLECTED)
    hurried.until("p", S.STUCK)
    usb.rmdir()
    hurried.until("p", S.EMPTY)
    stuck.let_go.set()


def test_a_stop_ends_all_work_at_a_safe_point(station: House, work: Work) -> None:
    for i in range(8):
        work.orders[str(i)] = hold
        station.hand.plug(volume(f"/dev/x{i}", str(i)))
    for i in range(8):
        station.until(str(i), S.COLLECTING)
    assert station.dock.stop(PATIENCE) == []
    assert len(station.shelf.returned) == 8


def test_a_stop_does_not_wait_for_a_stuck_slot(hurried: House, work: Work) -> None:
    stuck = work.orders["p"] = Stuck()
    hurried.hand.plug(volume("/dev/sda1"))
    hurried.until("p", S.STUCK)
    assert hurried.dock.stop(0.1) == ["p"]
    stuck.let_go.set()


def test_free_slots_of_the_cabinet_are_shown_and_follow_the_configuration(tmp_path: Path, work: Work) -> None:
    settings = Settings(
        slots={"A1": Slot("p1"), "A2": Slot("p2"), "R": Slot("p3", reader=True)}, stuck_after=0.2
    )
    with house(tmp_path, work, settings=settings) as station:
        assert [s.slot for s in station.board.snapshot()] == ["A1", "A2"]
        device = volume("/dev/sda1", "p2")
        station.hand.plug(device)
        station.until("A2", S.COLLECTED)
        settings.slots = {"B1": Slot("p1"), "B2": Slot("p2")}
        station.when(lambda: station.status("B1"))
        # The recorder that is docked keeps its slot until it is pulled.
        assert [s.slot for s in station.board.snapshot()] == ["A2", "B1", "B2"]
        station.hand.pull(device)
        station.when(lambda: station.status("A2") is None)
        station.hand.plug(device)
        station.until("B2", S.COLLECTED)


def test_a_folder_needs_no_grace(tmp_path: Path, work: Work) -> None:
    with house(tmp_path, work, grace=1000) as station:
        station.hand.plug(folder("x", "rack:x"))
        station.until("x", S.COLLECTED)
