"""The board shows each slot as it is now, to whoever asks."""

from agent.dock.board import Board
from agent.model import Problem, Pulled, SlotState, SlotStatus


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_slots_stand_in_the_order_that_people_count_in() -> None:
    board = Board()
    for slot in ("10", "2", "A10", "A9", "1", "pci-0000:00:03.0-usb-0:3", "1.0", "1号"):
        board.begin(slot)
    shown = [status.slot for status in board.snapshot()]
    assert shown.index("1") < shown.index("2") < shown.index("10") < shown.index("A9") < shown.index("A10")
    assert len(shown) == 8


def test_nothing_of_the_last_recorder_stays_in_a_slot() -> None:
    board = Board()
    board.update("1", recorder="8888888", files_done=3, problems=(Problem("internal"),))
    board.begin("1", SlotState.IDENTIFYING)
    (slot,) = board.snapshot()
    assert (slot.recorder, slot.files_done, slot.problems) == ("", 0, ())


def test_since_is_when_the_state_changed() -> None:
    wall = Clock()
    board = Board(wall=wall)
    board.begin("1", SlotState.IDENTIFYING)
    wall.now = 5.0
    board.update("1", state=SlotState.COLLECTING)
    wall.now = 9.0
    board.update("1", bytes_done=1)
    assert board.snapshot()[0].since == 5.0


def test_speed_is_that_of_the_last_seconds() -> None:
    clock = Clock()
    board = Board(monotonic=clock)
    board.update("1", state=SlotState.COLLECTING, bytes_total=10_000)
    for second in range(1, 41):
        clock.now = float(second)
        board.update("1", bytes_done=second * 10 if second <= 20 else 200 + (second - 20) * 100)
    slot = board.snapshot()[0]
    assert slot.bytes_per_second == 100.0
    assert slot.eta_seconds == (10_000 - slot.bytes_done) / 100.0


def test_speed_falls_while_nothing_comes_and_is_never_negative() -> None:
    clock = Clock()
    board = Board(monotonic=clock)
    board.update("1", state=SlotState.COLLECTING, bytes_total=1000)
    clock.now = 1.0
    board.update("1", bytes_done=100)
    clock.now = 100.0
    assert board.snapshot()[0].bytes_per_second == 1.0
    board.update("1", bytes_done=0)
    assert board.snapshot()[0].bytes_per_second == 0.0


def test_a_slot_that_does_not_copy_has_no_speed() -> None:
    clock = Clock()
    board = Board(monotonic=clock)
    board.update("1", state=SlotState.COLLECTING)
    clock.now = 1.0
    board.update("1", bytes_done=100)
    board.update("1", state=SlotState.COLLECTED)
    assert board.snapshot()[0].bytes_per_second == 0.0


def test_who_was_pulled_too_early_is_told_until_the_next_docking_or_for_an_hour() -> None:
    clock, wall = Clock(), Clock()
    board = Board(clock, wall)
    board.update("1", state=SlotState.COLLECTING, recorder="8888888", officer="000123")
    wall.now = 7.0
    board.pulled("1", 3, problems=(Problem("pulled-early", {"files": 3}),))
    clock.now = 3599.0
    (slot,) = board.snapshot()
    assert (slot.state, slot.recorder, slot.pulled) == (
        SlotState.EMPTY,
        "",
        Pulled("8888888", "000123", 3, 7.0),
    )
    assert slot.problems
    clock.now = 3600.0
    assert board.snapshot() == [SlotStatus("1", since=7.0)]
    board.pulled("1", 3)
    board.begin("1", SlotState.IDENTIFYING)
    assert board.snapshot()[0].pulled is None


def test_a_moment_stays_what_it_was_until_it_is_taken_back() -> None:
    wall = Clock()
    board = Board(wall=wall)
    board.begin("1", SlotState.IDENTIFYING)
    for now, changes, moments in (
        (1.0, {"received": True}, (1.0, None)),
        (2.0, {"received": True, "state": SlotState.COLLECTED}, (1.0, 2.0)),
        (3.0, {"received": True, "bytes_done": 1}, (1.0, 2.0)),
        (4.0, {"received": False, "state": SlotState.IDENTIFYING}, (None, None)),
        (5.0, {"received": True, "state": SlotState.COLLECTED}, (5.0, 5.0)),
    ):
        wall.now = now
        board.update("1", **changes)
        (slot,) = board.snapshot()
        assert (slot.received, slot.collected) == moments


def test_a_slot_can_be_taken_off_the_board() -> None:
    board = Board()
    board.begin("1")
    board.remove("1")
    assert board.snapshot() == []
    board.remove("1")
