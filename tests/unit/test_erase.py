"""What is erased on a recorder: exactly what is safe elsewhere, is as it was copied, and nobody holds."""

import errno
import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent import durable
from agent.config import EraseConfig
from agent.dock.mounts import FolderPort
from agent.model import Doing
from tests.erasing import NAME, RECORDER, House

pytestmark = pytest.mark.usefixtures("trusted_clock")


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path, time.time)
    yield made
    made.stop()


@pytest.fixture
def confirmed(house: House) -> House:
    """Three clips that the centre has; the recorder was away, and made a fourth."""
    house.record(1, 2, 3)
    house.put("SYSTEM/empty.log", b"")
    assert house.dock()[0]
    house.send()
    assert house.findings() == []
    house.record(4)
    return house


def certificate(house: House) -> dict[str, Any]:
    [one] = house.events("erased")
    return one


def test_what_the_centre_has_is_erased_at_the_next_docking_and_nothing_else(confirmed: House) -> None:
    before = confirmed.files()
    complete, heard = confirmed.dock()
    assert complete
    kept = {NAME.format(4, 4): before[NAME.format(4, 4)]}
    assert confirmed.files() == kept
    assert ("erased", {"count": 4}) in heard.problems
    [listed] = confirmed.events("erasing")
    said = certificate(confirmed)
    lines = sorted(
        (path.encode().hex(), hashlib.sha256(data).hexdigest(), len(data))
        for path, data in before.items()
        if path not in kept
    )
    assert (
        (said["count"], said["bytes"])
        == (4, sum(size for *_, size in lines))
        == (
            listed["count"],
            listed["bytes"],
        )
    )
    assert said["root"] == listed["root"]
    assert said["fates"] == {"erased": 4}
    assert said["left"] == {"kept-unconfirmed": 1}
    assert said["stayed"] == [] and "missing" not in said
    assert confirmed.open_lists() == 0


def test_the_root_of_a_certificate_can_be_worked_out_from_the_files(house: House) -> None:
    [path] = house.record(1)
    data, mtime = path.read_bytes(), path.stat().st_mtime_ns
    house.dock()
    house.send()
    house.dock()
    name = NAME.format(1, 1).encode().hex()
    line = f"{hashlib.sha256(data).hexdigest()} {len(data)} {mtime} {name}\n"
    assert certificate(house)["root"] == hashlib.sha256(line.encode()).hexdigest()


def test_a_card_is_called_emptied_only_when_no_file_is_on_it(confirmed: House) -> None:
    _, heard = confirmed.dock()
    assert confirmed.files() and not heard.emptied  # one came after the others were confirmed
    confirmed.send()
    _, heard = confirmed.dock()
    assert not confirmed.files() and heard.emptied
    assert heard.done_so_far == [Doing.ERASING]


def test_the_first_docking_erases_nothing(house: House) -> None:
    house.record(1, 2)
    before = house.files()
    house.dock()
    assert house.files() == before
    assert house.events("erasing", "erased") == []


def off(house: House) -> None:
    house.order.config = EraseConfig()


def stranger(house: House) -> None:
    house.order.roster = set()


def clock(house: House) -> None:
    house.order.now = lambda: None


def held(house: House) -> None:
    house.hold()


def silent(house: House) -> None:
    house.age_proofs(86401)
    house.target.down = True


def two_voices(house: House) -> None:
    house.put(NAME.format(9, 9).replace(RECORDER, "9999999"), 5000)


@pytest.mark.parametrize("why", [off, stranger, clock, held, silent, two_voices])
def test_nothing_is_erased_while_anything_speaks_against_it(confirmed: House, why: Any) -> None:
    why(confirmed)
    before = confirmed.files()
    confirmed.visit()
    assert confirmed.files() == before
    assert confirmed.events("erased") == []


def test_what_the_centre_lost_is_erased_only_where_it_has_it_again(confirmed: House) -> None:
    before = confirmed.files()
    for path in (confirmed.root / "share").rglob("*_000[12].*mp4"):
        path.unlink()
    confirmed.age_proofs(86401)
    confirmed.dock()
    centre = {path.read_bytes() for path in (confirmed.root / "share" / "clips").rglob("*") if path.is_file()}
    gone = set(before) - set(confirmed.files())
    assert gone and {before[path] for path in gone} <= centre


def test_by_default_no_recorder_is_erased() -> None:
    assert not EraseConfig().enabled


def test_a_hold_on_one_clip_keeps_that_one_alone(confirmed: House) -> None:
    [(clip, path)] = (
        confirmed.catalog.read()
        .execute("SELECT id, path FROM clips WHERE CAST(path AS TEXT) LIKE '%_0002.mp4'")
        .fetchall()
    )
    confirmed.hold("clip", str(clip))
    before = confirmed.files()
    confirmed.dock()
    assert confirmed.files() == {name: before[name] for name in (path.decode(), NAME.format(4, 4))}
    assert certificate(confirmed)["left"]["kept-by-hold"] == 1


def test_a_proof_that_is_too_old_is_asked_for_and_waited_for(confirmed: House) -> None:
    confirmed.age_proofs(86401)
    confirmed.dock()
    assert confirmed.files() == {}  # meanwhile the centre got the fourth one, too
    assert 0 < confirmed.time.mono <= 60


def test_what_changed_since_it_was_copied_is_copied_and_not_erased(confirmed: House) -> None:
    path = confirmed.card / NAME.format(2, 2)
    with path.open("ab") as file:
        file.write(b"more")
    now = path.read_bytes()
    confirmed.visit()
    assert confirmed.files()[NAME.format(2, 2)] == now
    stored = {path.read_bytes() for path in confirmed.store.clips.rglob("*.mp4")}
    assert now in stored


def meddled(house: House, path: Path) -> bytes:
    """Other bytes where no sample is taken, with the same size and time."""
    data, times = bytearray(path.read_bytes()), path.stat().st_mtime_ns
    data[5000] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times, times))
    return bytes(data)


def test_a_change_that_no_sample_shows_is_found_by_the_full_digest_and_copied(confirmed: House) -> None:
    confirmed.order.config = EraseConfig(enabled=True, full_digest=True)
    path = confirmed.card / NAME.format(2, 2)
    now = meddled(confirmed, path)
    heard = confirmed.visit()
    assert "changed-since-copy" in heard.told()
    assert path.read_bytes() == now
    assert now in {copy.read_bytes() for copy in confirmed.store.clips.rglob("*.mp4")}


def test_names_that_differ_in_case_only_are_left_both(house: House) -> None:
    for name in ("DCIM/x/a.mp4", "DCIM/x/A.mp4", "DCIM/x/b.mp4"):
        house.put(name, 5000)
    house.record(1)
    before = house.files()
    house.dock()
    house.send()
    house.dock()
    assert house.files() == {name: before[name] for name in ("DCIM/x/a.mp4", "DCIM/x/A.mp4")}
    assert certificate(house)["left"] == {"alike": 2}


def test_a_card_that_became_read_only_is_told_and_keeps_everything(
    confirmed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> Sequence[tuple[str, str]]:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(FolderPort, "erase", refused)
    before = confirmed.files()
    complete, heard = confirmed.dock()
    assert complete
    assert confirmed.files() == before
    assert "erase-read-only" in heard.told()
    assert certificate(confirmed)["fates"] == {"EROFS": 4}
    monkeypatch.undo()
    confirmed.dock()
    assert set(confirmed.files()) == {NAME.format(4, 4)}


def test_a_damaged_card_is_told_and_keeps_everything(
    confirmed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object) -> Sequence[tuple[str, str]]:
        raise OSError(errno.EUCLEAN, "damaged, says fsck.fat (1)")

    monkeypatch.setattr(FolderPort, "erase", refused)
    before = confirmed.files()
    assert "erase-damaged" in confirmed.dock()[1].told()
    assert confirmed.files() == before
    assert certificate(confirmed)["count"] == 0


def test_another_file_that_vanished_meanwhile_is_told(
    confirmed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = FolderPort.erase

    def and_more(port: FolderPort, files: Sequence[tuple[str, int, int]]) -> Sequence[tuple[str, str]]:
        fates = real(port, files)
        (port.path / NAME.format(4, 4)).unlink()
        return fates

    monkeypatch.setattr(FolderPort, "erase", and_more)
    heard = confirmed.dock()[1]
    assert ("erase-others-missing", {"count": 1}) in heard.problems
    assert certificate(confirmed)["missing_paths"] == [NAME.format(4, 4)]


def test_what_the_card_still_shows_is_not_called_erased(
    confirmed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FolderPort, "erase", lambda port, files: [(path, "erased") for path, _, _ in files])
    before = confirmed.files()
    confirmed.dock()
    assert confirmed.files() == before
    assert certificate(confirmed)["fates"] == {"came-back": 4}
    assert certificate(confirmed)["count"] == 0


def test_by_explicit_word_what_is_stored_goes_after_its_copy_was_read_again(house: House) -> None:
    house.order.config = EraseConfig(enabled=True, after="stored")
    house.record(1, 2)
    before = house.files()
    house.dock()
    assert house.files() == {}
    assert {path.read_bytes() for path in house.store.clips.rglob("*.mp4")} == set(before.values())


def test_what_rotted_at_the_station_stays_on_the_recorder(house: House) -> None:
    house.record(1, 2)
    house.dock()
    rotten = next(path for path in house.store.clips.rglob("*_0001.*.mp4"))
    rotten.write_bytes(bytes([rotten.read_bytes()[0] ^ 1]) + rotten.read_bytes()[1:])
    house.order.config = EraseConfig(enabled=True, after="stored")
    house.dock()
    assert set(house.files()) == {NAME.format(1, 1)}
    assert certificate(house)["left"] == {"not-whole-here": 1}


def test_the_last_look_at_the_copy_here_is_at_the_disk_and_not_at_the_memory(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.record(1, 2)
    house.dock()
    house.order.config = EraseConfig(enabled=True, after="stored")
    copies = {path.stat().st_ino for path in house.store.clips.rglob("*.mp4")}
    dropped, real = set[int](), durable.drop_cache

    def drop(fd: int, *where: int) -> None:
        dropped.add(os.fstat(fd).st_ino)
        real(fd, *where)

    monkeypatch.setattr(durable, "drop_cache", drop)
    house.dock()
    assert house.files() == {}
    assert copies <= dropped


def test_nobody_is_accused_of_what_the_station_erased_itself(confirmed: House) -> None:
    confirmed.dock()
    assert confirmed.findings() == []
    confirmed.send()
    confirmed.record(5)
    confirmed.dock()
    assert confirmed.findings() == []
    (confirmed.card / NAME.format(5, 5)).unlink()
    confirmed.dock()
    assert confirmed.findings() == ["card-emptied"]


def test_a_pull_in_the_middle_is_finished_at_the_next_docking_and_accuses_nobody(
    confirmed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, away = os.unlink, confirmed.root / "away"
    calls = iter(range(100))

    def pulled(name: str, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None and next(calls) == 2:
            confirmed.card.rename(away)
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(name, dir_fd=dir_fd)

    before = confirmed.files()
    monkeypatch.setattr(os, "unlink", pulled)
    heard = confirmed.visit()
    monkeypatch.undo()
    away.rename(confirmed.card)
    assert "erase-cut-short" in heard.told()
    left = set(confirmed.files())
    assert len(left) > 1 and left < set(before)
    assert confirmed.open_lists() == 1
    assert confirmed.findings() == []
    confirmed.restart()
    confirmed.dock()
    assert confirmed.findings() == []
    assert set(confirmed.files()) == {NAME.format(4, 4)}
    assert confirmed.open_lists() == 0
    first, second = confirmed.events("erased")
    assert (first["fates"].get("gone", 0), second["fates"]) == (
        len(before) - len(left),
        {"erased": len(left) - 1},
    )


def test_a_hold_that_comes_while_the_card_is_away_keeps_the_rest_of_the_list(
    confirmed: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.unlink
    calls = iter(range(100))

    def dying(name: str, *, dir_fd: int | None = None) -> None:
        if dir_fd is not None and next(calls) == 1:
            raise KeyboardInterrupt
        real(name, dir_fd=dir_fd)

    monkeypatch.setattr(os, "unlink", dying)
    with pytest.raises(KeyboardInterrupt):
        confirmed.dock()
    monkeypatch.undo()
    confirmed.restart()
    confirmed.hold()
    before = confirmed.files()
    confirmed.dock()
    assert confirmed.files() == before
    assert confirmed.open_lists() == 0
    assert certificate(confirmed)["fates"] == {"gone": 1, "unfinished": 3}


def test_a_file_that_lies_where_an_erased_one_lay_is_another_one(confirmed: House) -> None:
    """A camera begins with the same names on every empty card."""
    confirmed.dock()
    path = confirmed.put(NAME.format(1, 1), 20_001)
    data = path.read_bytes()
    confirmed.dock()
    confirmed.send()
    confirmed.dock()
    assert confirmed.files() == {}
    assert data in {copy.read_bytes() for copy in confirmed.store.clips.rglob("*.mp4")}
    assert "card-emptied" not in confirmed.findings()
