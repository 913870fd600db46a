"""What was begun can be finished: no more room is promised than there is, and all of it is given back."""

import random
import threading
from contextlib import ExitStack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ingest.room import Promise, Room

RESERVE = 50
TOTAL = 1000


class Disk:
    """`free` may fall by more than was promised: others write to it, too."""

    def __init__(self, free: int = TOTAL) -> None:
        self.free = free

    def __call__(self) -> tuple[int, int, int]:
        return self.free, TOTAL, RESERVE


@st.composite
def histories(draw: st.DrawFn) -> tuple[int, list[tuple[str, int, list[int]]]]:
    step = st.tuples(
        st.sampled_from(["dock", "write", "rewrite", "again", "pull", "release"]),
        st.integers(0, 5),
        st.lists(st.integers(1, 400), max_size=6),
    )
    return draw(st.integers(0, TOTAL)), draw(st.lists(step, max_size=40))


@given(histories())
def test_never_more_is_promised_than_there_is_and_all_of_it_is_given_back(
    history: tuple[int, list[tuple[str, int, list[int]]]],
) -> None:
    free, steps = history
    disk = Disk(free)
    room = Room(disk)
    docked: dict[int, tuple[Promise, ExitStack]] = {}
    theirs: dict[int, int] = {}  # bytes that each has written
    for what, slot, sizes in steps:
        if what == "dock" and slot not in docked:
            stack = ExitStack()
            docked[slot] = stack.enter_context(room.promise(str(slot))), stack
            theirs[slot] = 0
        if what == "release":
            disk.free = min(TOTAL, disk.free + sum(sizes))
        if slot not in docked:
            continue
        promise, stack = docked[slot]
        if what in ("dock", "again"):
            before, had = disk.free - RESERVE - room.promised, promise.left
            chosen = promise.take(sizes)
            assert chosen == sorted(set(chosen))
            left = before - sum(sizes[place] for place in chosen)
            assert not chosen or left >= 0
            assert all(size > left for place, size in enumerate(sizes) if place not in chosen)
            assert promise.left - had == sum(sizes[place] for place in chosen)
        elif what == "write":
            size = min(promise.left, sum(sizes))
            disk.free -= size
            promise.written(size)
            theirs[slot] += size
        elif what == "rewrite":
            size = min(theirs[slot], sum(sizes))
            promise.grow(size)
            disk.free += size
            theirs[slot] -= size
        elif what == "pull":
            del docked[slot]
            stack.close()
            assert promise.left == 0
        promised = sum(promise.left for promise, _ in docked.values())
        assert room.promised == promised
        assert promised == 0 or promised <= disk.free - RESERVE
    for promise, stack in docked.values():
        disk.free -= promise.left  # what is docked is finished, whoever came after it
        promise.written(promise.left)
        stack.close()
    assert room.promised == 0
    assert disk.free >= min(free, RESERVE)


def test_thirty_two_slots_at_once_are_never_promised_more_than_there_is() -> None:
    disk, lock, least = Disk(), threading.Lock(), list[int]()
    room = Room(disk)

    def dock(slot: int) -> None:
        rng = random.Random(slot)
        for _ in range(50):
            with room.promise(str(slot)) as promise:
                promise.take([rng.randrange(1, 60) for _ in range(9)])
                wrote = 0
                while promise.left:
                    with lock:
                        disk.free -= 1
                        least.append(disk.free)
                    promise.written(1)
                    wrote += 1
                with lock:
                    disk.free += wrote  # the centre has it

    threads = [threading.Thread(target=dock, args=(slot,)) for slot in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (room.promised, disk.free) == (0, TOTAL)
    assert RESERVE <= min(least) < TOTAL / 2


def test_an_error_in_the_middle_gives_all_of_it_back() -> None:
    room = Room(Disk(500))
    with pytest.raises(ZeroDivisionError), room.promise("A1") as promise:
        promise.take([100, 200])
        assert room.promised == 300
        raise ZeroDivisionError
    assert room.promised == 0


def test_what_found_no_room_is_wanted_until_it_is_taken_or_forgotten() -> None:
    now, disk = 0.0, Disk(RESERVE + 100)
    room = Room(disk, lambda: now)
    with room.promise("A1") as promise:
        assert promise.take([80, 60, 30]) == [0]
        assert room.wanted() == 90
        assert room.disk() == (RESERVE + 100 - 80 - 90, TOTAL, RESERVE)
    with room.promise("A2") as promise:
        assert promise.take([TOTAL]) == []  # no empty disk could hold it: nothing need go for it
    assert room.wanted() == 90
    disk.free = TOTAL
    with room.promise("A1") as promise:
        assert promise.take([60, 30]) == [0, 1]
    assert room.wanted() == 0
    disk.free = RESERVE
    with room.promise("A1") as promise:
        assert promise.take([60]) == []
    assert room.wanted() == 60
    now += 3600
    assert room.wanted() == 0
