"""What is stored is read again, and what is rotten is found, over real files."""

import ctypes
import errno
import os
import platform
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from agent import durable
from agent.catalog import scrubs
from agent.config.schema import ScrubConfig
from agent.errors import Stopping
from agent.ingest import reread, scrub
from agent.ingest.pace import become_idle
from tests.scrubbing import FOREVER, House, collected, spoil

pytestmark = pytest.mark.usefixtures("trusted_clock")


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path, time.time)


def test_a_store_that_is_not_there_quarantines_nothing(house: House) -> None:
    collected(house, 1, 2, 3, sent=False)
    away = house.store.clips.rename(house.root / "away")
    house.store.clips.mkdir()
    house.scrub.step()
    assert house.states() == ["stored"] * 3
    assert house.scrub.problem is not None
    assert house.scrub.problem.key == "scrub-no-store"
    house.store.clips.rmdir()
    away.rename(house.store.clips)
    house.time.mono += scrub.REST
    house.scrub.step()
    assert house.states() == ["stored"] * 3
    assert house.scrub.problem is None


def test_a_disk_that_answers_nothing_quarantines_nothing(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1, 2, 3, sent=False)

    def failing(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as dead:
        dead.setattr(os, "preadv", failing)
        dead.setattr(os, "pread", failing)
        house.scrub.step()
    assert house.states() == ["stored"] * 3
    assert house.scrub.problem is not None
    assert house.scrub.problem.key == "scrub-no-store"
    assert house.events("rotten") == []


def test_where_many_are_rotten_one_after_the_other_it_rests_and_goes_on_slowly(house: House) -> None:
    collected(house, *range(1, 9), sent=False)
    for number in range(1, 8):
        spoil(house.path(number))
    for hour in range(6):
        house.scrub.step()
        assert house.states().count("quarantined") <= scrub.IN_A_ROW + hour
        assert hour > 3 or (house.scrub.problem and house.scrub.problem.key == "scrub-many-rotten")
        house.time.mono += scrub.REST
    assert house.states().count("quarantined") == 7
    assert house.scrub.problem is None


def test_a_clip_that_is_released_while_it_is_read_is_not_rotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1, 2)
    real = reread.look

    def released(path: Path, *given: object) -> object:
        for clip in house.clips():
            if house.number(clip) == 1 and path == house.path(1) and house.state(clip) == "confirmed":
                house.force_release(clip)
                path.unlink()
        return real(path, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(scrub, "look", released)
    house.scrub.step()
    assert house.states() == ["confirmed", "released"]
    assert house.events("rotten") == []


def test_a_read_error_is_rot_of_that_clip_alone(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    collected(house, 1, 2)
    bad = house.path(1).stat().st_ino
    real = os.preadv

    def failing(fd: int, buffers: list[memoryview], offset: int) -> int:
        if os.fstat(fd).st_ino == bad:
            raise OSError(errno.EIO, "Input/output error")
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", failing)
    house.scrub.step()
    assert house.events("rotten")[0]["params"]["why"] == "unreadable"
    assert house.events("healed")[0]["source"] == "centre"


def test_a_file_that_may_not_be_read_is_told_and_neither_rot_nor_in_the_way(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1, 2)
    shut = str(house.path(1))
    real = os.open

    def refusing(path: object, *given: object, **named: object) -> int:
        if str(path) == shut:
            raise PermissionError(errno.EACCES, "Permission denied", shut)
        return real(path, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
    house.scrub.step()
    assert house.events("rotten") == []
    assert house.scrub.problem is not None
    assert house.figures().due == 1


def test_a_sidecar_that_is_not_what_the_catalog_says_is_written_anew(house: House) -> None:
    collected(house, 1, 2)
    first, second = (house.path(number).with_name(house.path(number).name + ".json") for number in (1, 2))
    before = first.read_bytes(), second.read_bytes()
    first.unlink()
    second.write_bytes(before[1][:-20])
    house.scrub.step()
    assert (first.read_bytes(), second.read_bytes()) == before
    assert house.events("rotten") == []


def test_it_is_never_faster_than_it_is_told(house: House) -> None:
    collected(house, *range(1, 20))
    house.settings = ScrubConfig(rate=64 << 10)
    began = house.time.mono
    while house.scrub.step() == 0:
        pass
    size = sum(house.path(number).stat().st_size for number in range(1, 20))
    assert house.figures().due == 0
    assert house.time.mono - began >= size / (64 << 10) - 1
    assert house.pauses < (house.time.mono - began) + 20


def test_a_docking_goes_first_and_an_end_is_prompt(house: House) -> None:
    collected(house, 1, 2)
    house.busy = lambda: True
    house.waits_left = 3
    with pytest.raises(Stopping):
        house.scrub.step()
    assert house.figures().due == 2


def test_progress_survives_a_restart_and_the_longest_unread_comes_first(house: House) -> None:
    collected(house, 1, 2, 3)
    first = scrubs.due(house.catalog.read(), time.time(), 3600.0, 1)
    house.catalog.write(lambda tx: scrubs.read(tx, first, time.time()))
    house.restart()
    assert first[0] not in scrubs.due(house.catalog.read(), time.time(), 3600.0, 10)
    assert house.figures().due == 2
    house.catalog.write(lambda tx: scrubs.read(tx, first, time.time() + 10 * 365 * 86400))
    assert house.figures().due == 3  # a wrong clock postpones nothing for ever


def test_the_disk_serves_its_thread_last(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    got = list[int]()
    libc, number = ctypes.CDLL(None), {"x86_64": 252, "aarch64": 31}[platform.machine()]

    def work() -> None:
        become_idle()
        got.append(libc.syscall(number, 1, 0) >> 13)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert got == [3] or "refuses the idle class" in caplog.text
    assert libc.syscall(number, 1, 0) >> 13 != 3  # that of another thread stays as it was


def test_its_thread_starts_reads_and_ends(house: House) -> None:
    collected(house, 1)
    path, data = spoil(house.path(1))
    thread = house.thread()
    thread.start()
    until = threading.Event()
    for _ in range(3000):
        if house.figures().healed:
            break
        until.wait(0.01)
    assert thread.stop(10)
    assert path.read_bytes() == data
    assert thread.problem is None


def test_once_nothing_is_left_to_be_read_it_is_not_said_to_rest(house: House) -> None:
    collected(house, *range(1, 5), sent=False)
    for number in range(1, 5):
        spoil(house.path(number))
    house.scrub.step()
    assert house.scrub.problem is not None
    for _ in range(2):  # the fourth is believed; then there is none
        house.time.mono += scrub.REST
        house.scrub.step()
    assert house.states() == ["quarantined"] * 4
    assert house.figures().due == 0
    assert house.scrub.problem is None


def test_a_docking_that_never_ends_does_not_end_the_reading(house: House) -> None:
    collected(house, 1, 2, 3)
    for number in (1, 2, 3):
        sidecar = house.path(number).with_name(house.path(number).name + ".json")
        sidecar.write_text("{}")
    recorder = house.catalog.read().execute("SELECT recorder FROM clips").fetchone()[0]

    def wait(seconds: float) -> bool:
        house.time.mono += max(seconds, scrub.REST / 2)
        return house.pause(0)

    house.scrub = house.make(wait)
    with house.ingest.locks.hold(recorder, lambda: None):
        for _ in range(3):
            house.scrub.step()
    assert house.figures().due == 0


def test_a_clip_that_became_another_one_while_its_file_was_read_is_not_rotten(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1, 2)
    path, _ = spoil(house.path(1))
    key, real = house.key(1), reread.look

    def copied_anew(*given: Any) -> Any:
        found = real(*given)
        if given[0] == path:
            house.catalog.write(lambda tx: tx.execute("UPDATE clips SET key = 'x' WHERE key = ?", (key,)))
        return found

    monkeypatch.setattr(scrub, "look", copied_anew)
    house.scrub.step()
    assert house.events("rotten") == []


def test_what_was_read_under_a_clock_that_was_ahead_is_read_again(house: House) -> None:
    house.record(1, 2)
    assert house.dock()[0]
    assert house.figures().due == 0
    house.catalog.write(lambda tx: tx.execute("UPDATE clips SET stored_at = stored_at + ?", (FOREVER,)))
    house.scrub.step()
    rows = house.catalog.read().execute("SELECT at FROM scrubs").fetchall()
    assert len(rows) == 2
    assert house.figures().due == 0


def test_the_only_clip_is_not_gone_where_its_folder_is_on_another_disk_than_the_catalog(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1, sent=False)
    spoil(house.path(1), "gone")
    with monkeypatch.context() as away:
        away.setattr("agent.ingest.presence.catalog_path", lambda root: Path("/proc/version"))
        house.scrub.step()
    assert house.states() == ["stored"]
    assert house.scrub.problem is not None
    assert house.scrub.problem.key == "scrub-no-store"
    house.time.mono += scrub.REST
    house.scrub.step()
    assert house.states() == ["quarantined"]


def test_it_is_the_disk_that_is_read_and_not_the_memory(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1)
    dropped, real = list[tuple[int, tuple[int, ...]]](), durable.drop_cache

    def drop(fd: int, *where: int) -> None:
        dropped.append((os.fstat(fd).st_ino, where))
        real(fd, *where)

    monkeypatch.setattr(durable, "drop_cache", drop)
    house.scrub.step()
    assert dropped[0] == (house.path(1).stat().st_ino, ())  # all of it, before the first byte


def test_a_bit_that_flipped_in_memory_alone_is_no_rot(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    collected(house, 1, sent=False)
    real, flips = reread.look, iter([reread.Rot("differs", (0,))])
    monkeypatch.setattr(scrub, "look", lambda *given: next(flips, None) or real(*given))
    house.scrub.step()
    assert house.events("rotten") == []
    assert (house.states(), house.figures().due) == (["stored"], 0)


def test_clips_that_may_not_be_read_keep_none_behind_them_from_being_read(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    collected(house, 1, 2, 3, 4)
    monkeypatch.setattr("agent.ingest.scrub._AHEAD", 1)
    shut = {str(house.path(number)) for number in (1, 2)}
    real, tried = os.open, list[str]()

    def refusing(path: object, *given: object, **named: object) -> int:
        if str(path) in shut:
            tried.append(str(path))
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return real(path, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", refusing)
    for _ in range(4):
        house.scrub.step()
    assert house.figures().due == 2
    assert (sorted(tried), house.scrub.problem is not None) == (sorted(shut), True)
    house.scrub.step()  # a round has ended
    house.scrub.step()
    assert len(tried) > 2, "they are tried again"


def test_a_station_that_never_gets_to_read_says_so(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    collected(house, 1, 2)
    for _ in range(2):  # the second look finds that all was read
        house.scrub.step()
    assert house.scrub.behind is None
    now, every = time.time(), house.settings.every
    monkeypatch.setattr(time, "time", lambda: now + 2 * every + 60)
    scrub = house.make(house.pause)
    house.busy = lambda: True
    house.waits_left = 100
    with pytest.raises(Stopping):
        scrub.step()
    assert scrub.behind is not None and scrub.behind > 2 * every
    house.busy, house.waits_left = (lambda: False), 1_000_000
    for _ in range(3):
        scrub.step()
    assert scrub.behind is None
