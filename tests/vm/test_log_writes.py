"""The power goes at every single point of one docking at which the disk holds something new.

The kernel logs each write to the store's disk (dm-log-writes); the docking is then replayed on the host up to
every flush, and each disk that a power cut could have left there is judged. CI judges a sample of them
(`RECORDER_STATION_SEED`), always with those right before and after anything new was said.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random

import pytest

from tests.vm import log_verdict
from tests.vm.conftest import running
from tests.vm.dm_log import Boundary, Entry, Flag, Replay, boundaries, entries
from tests.vm.logged import Recording, dock, pick, prepare
from tests.vm.machine import Hardware
from tests.vm.station import Order

#: A docking is recorded, and each of its disks judged; four minutes and more.
pytestmark = pytest.mark.vm_full

SEED = int(os.environ.get("RECORDER_STATION_SEED", "20260115"))
_SAMPLE = 12
_LARGE = 64 << 10  # bytes of one write: these are clips


def recorded(folder: Path, patch: str = "") -> Recording:
    recording = prepare(folder / "r")
    with running(folder / "m", Order(hardware=Hardware(disks=(recording.disk, recording.log)))) as machine:
        machine.until_ready()
        dock(machine, recording, patch)
    return recording


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recording]:
    folder = tmp_path_factory.mktemp("log")
    made = recorded(folder)
    yield made
    for path in made.folder.glob("*.img"):
        path.unlink()


def judged(
    recording: Recording,
    folder: Path,
    some: Callable[[list[Boundary]], Sequence[int]],
    *,
    beyond: bool = False,
    lost: Callable[[Entry], bool] = lambda entry: False,
) -> tuple[int, dict[int, list[str]]]:
    """How many boundaries were looked at, and what is wrong at which."""
    replay = Replay(recording.base, recording.log, folder / "disk.img", lost)
    every = boundaries(replay.entries)
    chosen, wrong = some(every), dict[int, list[str]]()
    for number in chosen:
        image = folder / "image.img"
        if beyond:
            replay.beyond(every[number], image, Random(f"{SEED}/{number}"))
        else:
            replay.to(every[number], image)
        said = recording.said[every[number].marks]
        if found := log_verdict.faults(image, recording, said, folder / "cut", ahead=number % 2 == 1):
            wrong[number] = found
    log_verdict.tidy(folder / "cut")
    (folder / "disk.img").unlink()
    return len(chosen), wrong


def told(wrong: dict[int, list[str]]) -> str:
    return "\n".join(f"boundary {number}: {line}" for number, found in wrong.items() for line in found)


def every(found: list[Boundary]) -> Sequence[int]:
    return range(len(found))


def sample(found: list[Boundary]) -> Sequence[int]:
    return pick([boundary.marks for boundary in found], _SAMPLE, Random(SEED))


def the_last(found: list[Boundary]) -> Sequence[int]:
    return [len(found) - 1]


def test_at_flushes_of_a_docking_nothing_that_was_said_is_lost(
    recording: Recording, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    began = time.monotonic()
    looked, wrong = judged(recording, tmp_path, sample)
    log = entries(recording.log)
    figure(
        f"write log of one docking: {len(log)} entries, {len(boundaries(log))} boundaries,"
        f" {len(recording.said) - 1} marks; {looked} boundaries judged in {time.monotonic() - began:.0f} s"
    )
    assert not wrong, told(wrong)
    assert recording.said[-1].collected
    assert len(log) > len(boundaries(log)) > len(recording.said) > 5, "nothing was shown"


def test_at_every_flush_of_a_docking_nothing_that_was_said_is_lost(
    recording: Recording, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    began = time.monotonic()
    looked, wrong = judged(recording, tmp_path, every)
    figure(f"every boundary of the docking: {looked} judged in {time.monotonic() - began:.0f} s")
    assert not wrong, told(wrong)


def test_with_any_of_the_writes_that_were_on_their_way_nothing_is_lost(
    recording: Recording, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    began = time.monotonic()
    looked, wrong = judged(recording, tmp_path, every, beyond=True)
    figure(f"each with some of the writes under way: {looked} judged in {time.monotonic() - began:.0f} s")
    assert not wrong, told(wrong)


# These must be able to fail.


def test_a_disk_that_loses_what_it_said_it_had_is_found_out(recording: Recording, tmp_path: Path) -> None:
    """Half of the large writes: some of any are of a copy that was given up for its twin."""
    log = entries(recording.log)
    large = [entry.number for entry in log if entry.length >= _LARGE and not entry.flags & Flag.METADATA]
    gone = set(Random(SEED).sample(large, len(large) // 2))
    _, wrong = judged(recording, tmp_path, the_last, lost=lambda entry: entry.number in gone)
    assert "is not whole" in told(wrong)


#: Only the catalog is brought to the disk, by SQLite itself. With `drop_cache` left alone ext4 would hide
#: much of it: that begins the writing, and a commit of the journal waits for what has begun.
NOTHING_IS_SYNCED = """
import os
from agent import durable
os.fsync = lambda fd: None
durable.sync_file_system = lambda folder: None
durable.drop_cache = lambda fd, offset=0, length=0: None
"""


def test_an_agent_that_brings_no_clip_to_the_disk_is_found_out(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    broken = recorded(tmp_path_factory.mktemp("log"), NOTHING_IS_SYNCED)
    _, wrong = judged(broken, tmp_path, sample)
    print(told(wrong)[:5000])
    assert "is not whole" in told(wrong)
