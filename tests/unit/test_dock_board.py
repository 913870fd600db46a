"""The board shows each slot as it is now, to whoever asks."""

from agent.dock.board import Board
from agent.model import Problem, SlotState


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


def test_a_slot_can_be_taken_off_the_board() -> None:
    board = Board()
    board.begin("1")
    board.remove("1")
    assert board.snapshot() == []
    board.remove("1")
