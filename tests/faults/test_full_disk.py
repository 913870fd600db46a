"""On a disk that is really full: who may not begin is told so and keeps everything, who began is finished."""

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from agent.errors import DeviceGone, NoRoom
from tests.dockside import Dockside, Heard, media, recorder
from tests.here import require
from tests.small_disk import small_disk

MIB = 1 << 20
RESERVE = 16 * MIB
NAME = "DCIM/{}_000001_20260101{:02}0000_{:04}{}.mp4"
PATIENCE = 60.0  # seconds


class Slow(Heard):
    """A recorder that reads on only when it may; `begun` once something was read."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.goes_on = threading.Event(), threading.Event()

    def advanced(self, size: int) -> None:
        super().advanced(size)
        self.begun.set()
        assert self.goes_on.wait(PATIENCE)


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    require("loop", "ext4")
    with small_disk(tmp_path, 128 * MIB) as disk, contextlib.ExitStack() as stack:
        side = Dockside(disk / "station", reserve=RESERVE)
        stack.callback(side.close)
        yield side
        assert side.ingest.room.promised == 0


@pytest.fixture
def card(tmp_path: Path) -> Callable[..., Path]:
    def make(number: str, *sizes: int, important: int = -1) -> Path:
        names = [NAME.format(number, n, n, "IMP" if n == important else "") for n in range(len(sizes))]
        return recorder(tmp_path / number, dict(zip(names, sizes, strict=True)))

    return make


def leave(side: Dockside, room: int) -> Path:
    """Fill the disk so that `room` bytes are left above the reserve; the file that does it."""
    filler = side.store.root / "filler"
    with filler.open("wb") as file:
        left = side.store.disk()[0] - RESERVE - room
        while left > 0:
            left -= file.write(bytes(min(left, MIB)))
    return filler


def outcomes(side: Dockside) -> list[str]:
    rows = side.catalog.read().execute("SELECT body FROM events WHERE kind = 'undocked' ORDER BY seq")
    return [json.loads(body)["outcome"] for (body,) in rows.fetchall()]


def kinds(side: Dockside) -> set[str]:
    return {kind for (kind,) in side.catalog.read().execute("SELECT kind FROM events").fetchall()}


def test_a_recorder_for_which_there_is_no_room_is_refused_and_nothing_of_it_is_begun(
    side: Dockside, card: Callable[..., Path]
) -> None:
    filler, folder = leave(side, 2 * MIB), card("1111111", 3 * MIB, 4 * MIB)
    woken: list[bool] = []
    side.ingest.full = lambda: woken.append(True)
    free, heard = side.store.disk()[0], Heard()
    with pytest.raises(NoRoom):
        side.dock(folder, heard)
    assert (outcomes(side), woken) == (["no-room"], [True])
    assert heard.total == (2, 7 * MIB)
    assert (heard.bytes, side.states(), side.leftovers()) == (0, {"seen": 2}, [])
    assert "copying" not in kinds(side)
    assert side.store.disk()[0] > free - 2 * MIB  # the catalog's own growth
    filler.unlink()
    complete, _ = side.dock(folder)
    assert complete
    assert side.stored_digests() == media(folder)


def test_a_recorder_that_brings_nothing_new_is_never_refused(
    side: Dockside, card: Callable[..., Path]
) -> None:
    folder = card("1111111", 3 * MIB)
    assert side.dock(folder)[0]
    leave(side, -MIB)
    complete, heard = side.dock(folder)
    assert (complete, heard.told()) == (True, set())
    assert side.dock(card("2222222"))[0]  # an empty one


def test_what_fits_is_copied_the_important_first_and_the_rest_is_told(
    side: Dockside, card: Callable[..., Path]
) -> None:
    leave(side, 10 * MIB)
    folder = card("1111111", *[3 * MIB] * 6, important=5)
    woken: list[bool] = []
    side.ingest.full = lambda: woken.append(True)
    complete, heard = side.dock(folder)
    assert not complete
    stored = {row["path"].rpartition("_")[2] for row in side.rows() if row["state"] == "stored"}
    assert stored == {"0005IMP.mp4", "0000.mp4", "0001.mp4"}
    assert [params["files"] for _, params in heard.problems] == [3]
    assert (outcomes(side), woken) == (["incomplete"], [True])


def test_who_began_is_finished_however_many_dock_meanwhile(side: Dockside, card: Callable[..., Path]) -> None:
    leave(side, 40 * MIB)
    first, slow = card("1111111", 20 * MIB, 18 * MIB), Slow()
    ended: list[bool] = []
    thread = threading.Thread(target=lambda: ended.append(side.dock(first, slow)[0]))
    thread.start()
    assert slow.begun.wait(PATIENCE)
    others = [card(f"222222{n}", 3 * MIB, 5 * MIB) for n in range(4)]
    for n, other in enumerate(others):
        with pytest.raises(NoRoom):
            side.dock(other, slot=f"B{n}", card=f"0000-000{n}")
    small = card("3333333", MIB // 2)
    assert side.dock(small, slot="C1", card="1111-1111")[0]  # what is left above the promise is anybody's
    slow.goes_on.set()
    thread.join(PATIENCE)
    assert ended == [True]
    assert side.stored_digests() == media(first) | media(small)
    assert outcomes(side) == ["no-room"] * 4 + ["collected"] * 2


def test_a_pull_gives_the_room_to_the_next_and_a_copy_cut_short_needs_only_its_rest(
    side: Dockside, card: Callable[..., Path]
) -> None:
    leave(side, 38 * MIB)
    first, second = card("1111111", 30 * MIB), card("2222222", 5 * MIB)
    with pytest.raises(DeviceGone):
        side.dock(first, Heard(pull_after=25 * MIB))
    assert side.ingest.room.promised == 0
    assert side.dock(second, slot="B1", card="2222-2222")[0]
    assert side.store.disk()[0] - RESERVE < 10 * MIB
    assert side.dock(first)[0]
    assert side.stored_digests() == media(first) | media(second)


def test_a_rest_that_must_be_copied_anew_still_has_its_room(
    side: Dockside, card: Callable[..., Path]
) -> None:
    leave(side, 33 * MIB)
    first = card("1111111", 30 * MIB)
    with pytest.raises(DeviceGone):
        side.dock(first, Heard(pull_after=25 * MIB))
    (partial,) = side.store.incoming.glob("*.part")
    with partial.open("r+b") as file:
        file.write(b"rotten")
    with pytest.raises(NoRoom):
        side.dock(card("2222222", 20 * MIB), slot="B1", card="2222-2222")
    assert side.dock(first)[0]
    assert side.stored_digests() == media(first)
