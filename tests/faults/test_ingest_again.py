"""What the next docking promises after one that went wrong: what is missing is fetched, nothing is believed
unread, and nothing that happened once blocks a recorder for good."""

import errno
import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.errors import CatalogError, DeviceGone, StationError
from agent.model import SourceClip
from drivers.simulated import SimulatedSession
from tests.dockside import Dockside, Heard, digest, media, recorder, rot

BLOCK = 65536
A, B, NEW = "DCIM/a.mp4", "DCIM/b.mp4", "DCIM/new.mp4"
HOLE = "files: {DCIM/a.mp4: rrrEr}\n"
PATIENCE = 20.0  # seconds until a test gives up


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    made = Dockside(tmp_path / "station")
    yield made
    made.close()


@pytest.fixture
def twins(tmp_path: Path) -> Path:
    """A card with two names for the same content."""
    return recorder(tmp_path / "card", {A: b"x" * 5000, B: b"x" * 5000})


def stored_file(side: Dockside) -> Path:
    """Of the only clip that is stored."""
    (row,) = [row for row in side.rows() if row["state"] == "stored"]
    return side.store.path(row["key"])


def quarantine(side: Dockside, share: Path) -> None:
    """The only clip rots in the store, and the uploader finds it."""
    rot(stored_file(side))
    side.upload(share)
    assert side.states()["quarantined"] == 1


@pytest.mark.parametrize("size", [10 * BLOCK, 9 << 20], ids=["small", "large"])
def test_a_clip_with_a_hole_is_not_called_collected(side: Dockside, tmp_path: Path, size: int) -> None:
    complete, heard = side.dock(recorder(tmp_path / "card", {A: size}, HOLE))
    assert not complete
    assert "unreadable" in heard.told()


@pytest.mark.parametrize("size", [10 * BLOCK, 9 << 20], ids=["small", "large"])
def test_a_hole_is_read_again_at_the_next_docking(side: Dockside, tmp_path: Path, size: int) -> None:
    card = recorder(tmp_path / "card", {A: size}, HOLE)
    side.dock(card)
    recorder(card, {})  # the plug was loose; now all can be read
    complete, _ = side.dock(card)
    assert complete
    assert media(card) <= side.stored_digests()


def test_a_hole_that_stays_is_kept_once(side: Dockside, tmp_path: Path) -> None:
    card = recorder(tmp_path / "card", {A: 10 * BLOCK}, HOLE)
    for _ in range(3):
        assert not side.dock(card)[0]
    assert side.states()["stored"] == 1
    assert side.leftovers() == []


def test_a_clip_with_a_bad_head_does_not_keep_others_from_being_collected(
    side: Dockside, tmp_path: Path
) -> None:
    card = recorder(tmp_path / "card", {A: 10 * BLOCK}, "files: {DCIM/a.mp4: Er}\n")
    side.dock(card)
    (card / NEW).write_bytes(b"new" * 999)
    complete, _ = side.dock(card)
    assert not complete
    assert digest(card / NEW) in side.stored_digests()


def test_a_quarantined_clip_with_two_names_comes_back_from_the_recorder(
    side: Dockside, tmp_path: Path, twins: Path
) -> None:
    assert side.dock(twins)[0]
    quarantine(side, tmp_path / "share")
    (twins / NEW).write_bytes(b"new" * 999)
    assert side.dock(twins)[0]
    assert side.stored_digests() == media(twins)


def test_twins_that_the_disk_could_not_seal_come_back(
    side: Dockside, twins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(side.store, "seal", full)
    with pytest.raises(OSError, match="No space"):
        side.dock(twins)
    assert "stored" not in side.states()
    monkeypatch.undo()
    assert side.dock(twins)[0]
    assert side.stored_digests() == media(twins)
    assert side.leftovers() == []


@pytest.mark.parametrize("harm", [rot, Path.unlink])
def test_a_good_copy_is_not_given_up_for_one_in_the_store_that_is_not_good_any_more(
    side: Dockside, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    card = recorder(tmp_path / "card", {A: 5000})
    side.dock(card)
    harm(stored_file(side))
    (card / A).rename(card / B)
    assert side.dock(card)[0]
    original = media(card)
    shutil.rmtree(card)  # the slot said `collected`
    side.upload(tmp_path / "share")
    assert side.states() == {"confirmed": 1, "merged": 1}
    assert original <= {digest(path) for path in (tmp_path / "share").rglob("*.mp4")}


def test_recorders_whose_numbers_differ_in_a_dot_stay_apart(side: Dockside, tmp_path: Path) -> None:
    cards = []
    for number in ("AB.1", "AB_1"):
        folder = f"DCIM/100ANDRO/{number}/000123"
        own: dict[str, bytes | int] = {
            f"{folder}/20260101120000_0001.mp4": b"same",
            f"{folder}/20260101130000_0002.mp4": 999,
        }
        cards.append(recorder(tmp_path / number, own))
    assert [side.dock(card)[0] for card in cards] == [True, True]
    assert {row["recorder"] for row in side.rows()} == {"AB.1", "AB_1"}
    assert side.states() == {"stored": 4}
    assert side.stored_digests() == media(cards[0]) | media(cards[1])


def test_a_name_that_a_card_lists_twice_does_not_block_it(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a damaged FAT does: the kernel lists both entries, and opens the first."""
    clips = SimulatedSession.clips

    def twice(self: SimulatedSession) -> Iterator[SourceClip]:
        for clip in clips(self):
            yield from (clip, clip)

    monkeypatch.setattr(SimulatedSession, "clips", twice)
    card = recorder(tmp_path / "card", {A: 5000, B: 5000})
    with pytest.raises(DeviceGone):
        side.dock(card, Heard(pull_after=1))
    for _ in range(2):
        assert side.dock(card)[0]
        assert side.stored_digests() == media(card)
        assert side.states()["stored"] == 2


def test_a_clip_that_was_locked_after_it_was_collected_becomes_important(
    side: Dockside, tmp_path: Path
) -> None:
    card = recorder(tmp_path / "card", {A: 5000, ".recorder.yaml": b"fs_type: vfat\n"})
    side.dock(card)
    assert [row["important"] for row in side.rows()] == [0]
    (card / A).chmod(0o444)
    side.dock(card)
    assert [row["important"] for row in side.rows()] == [1]


@pytest.mark.parametrize("after", range(8))
def test_a_moment_without_the_catalog_does_not_block_a_recorder_until_the_next_start(
    side: Dockside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    """So many writes of a docking succeed, and none behind them."""
    card = recorder(tmp_path / "card", {A: 5000, B: 5000})
    write, writes = side.catalog.write, iter(range(after))

    def refuse(work: Any) -> Any:
        if next(writes, None) is None:
            raise CatalogError("catalog-write", reason="database is locked")
        return write(work)

    monkeypatch.setattr(side.catalog, "write", refuse)
    try:
        complete, _ = side.dock(card)
        assert not complete or side.states() == {"stored": 2}
    except StationError as error:
        assert error.key == "catalog-write"
    monkeypatch.undo()
    assert side.dock(card)[0]
    assert side.states() == {"stored": 2}
    assert side.stored_digests() == media(card)
    assert side.leftovers() == []


class Together(Heard):
    """The docking that lists first waits there until the other one has given a sign of life."""

    def __init__(self, own: threading.Event, other: threading.Event) -> None:
        super().__init__()
        self._own, self._other = own, other

    def listed(self, files: int, size: int) -> None:
        super().listed(files, size)
        assert self._other.wait(PATIENCE)

    def check(self) -> None:
        if self.identity is not None:
            self._own.set()


@pytest.mark.parametrize("rotten", [False, True], ids=["new", "rotten in the store"])
def test_two_cards_of_one_recorder_docked_at_once_are_collected_one_after_the_other(
    side: Dockside, tmp_path: Path, rotten: bool
) -> None:
    content = os.urandom(3 << 20)
    cards = [
        recorder(
            tmp_path / f"card{n}",
            {
                f"8888888_000001_2026010112000{n}_000{n}.mp4": content,
                ".recorder.yaml": f"fs_uuid: CARD-000{n}\n".encode(),
            },
        )
        for n in range(2)
    ]
    if rotten:
        assert all(side.dock(card)[0] for card in cards)
        quarantine(side, tmp_path / "share")
    before = dockings(side)
    ends: dict[int, bool] = {}
    signs = threading.Event(), threading.Event()

    def dock(n: int) -> None:
        ends[n], _ = side.dock(cards[n], Together(signs[n], signs[1 - n]), slot=f"A{n}")

    threads = [threading.Thread(target=dock, args=(n,)) for n in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ends == {0: True, 1: True}
    first, second = dockings(side)[len(before) :]
    assert first[1] <= second[0]
    stored = stored_file(side)
    assert stored.read_bytes() == content
    document = json.loads(stored.with_name(stored.name + ".json").read_bytes())
    assert len({name["fs_id"] for name in document["names"]}) == 2
    assert side.leftovers() == []
    assert {path.suffix for path in side.store.clips.rglob("*") if path.is_file()} == {".mp4", ".json"}


def dockings(side: Dockside) -> list[tuple[float, float]]:
    """When each began and ended."""
    rows = side.catalog.read().execute("SELECT started, ended FROM dockings ORDER BY started")
    return [(started, ended) for started, ended in rows]
