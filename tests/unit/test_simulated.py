"""Each letter fails as it says, and a simulated recorder is pulled like a real one."""

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.dock.mounts import FolderPort
from agent.errors import ConfigError, DeviceGone, SourceUnreadable
from agent.model import Device, DeviceKind, SourceClip
from drivers.base import Reader
from drivers.simulated import Simulated, SimulatedSession

BLOCK = 4096
DATA = os.urandom(8 * BLOCK + 100)


class Rack:
    """One recorder `a.mp4` in one slot of a rack."""

    def __init__(self, folder: Path) -> None:
        self.slot = folder / "slot-1"
        self.slot.mkdir()
        (self.slot / "a.mp4").write_bytes(DATA)
        (self.slot / "b.mp4").write_bytes(DATA)
        self.driver = Simulated()
        self.sessions: list[SimulatedSession] = []

    def faults(self, letters: str) -> None:
        (self.slot / ".faults.yaml").write_text(f"block: {BLOCK}\nfiles: {{a.mp4: {letters}}}\n")

    def dock(self) -> SimulatedSession:
        port = FolderPort(self.slot, self.slot.stat().st_ino, lambda: None)
        device = Device(f"{self.slot}#1", DeviceKind.FOLDER, "rack-1")
        self.sessions.append(self.driver.open(device, port))
        return self.sessions[-1]

    def pull(self) -> None:
        self.slot.rename(self.slot.with_name("away"))

    def put_back(self) -> None:
        self.slot.with_name("away").rename(self.slot)


@pytest.fixture
def rack(tmp_path: Path) -> Iterator[Rack]:
    made = Rack(tmp_path)
    yield made
    for session in made.sessions:
        session.close()


def a(session: SimulatedSession) -> Reader:
    return session.open(SourceClip("a.mp4", len(DATA), 0))


def read_all(reader: Reader, step: int = 3 * BLOCK) -> tuple[bytes, list[int]]:
    """(what was read, the length of each piece)."""
    got, pieces = bytearray(), []
    buffer = memoryview(bytearray(step))
    while length := reader.read_at(buffer, len(got)):
        got += buffer[:length]
        pieces.append(length)
    return bytes(got), pieces


@pytest.mark.parametrize("letters", ["r", "rRr", "rSr", "S", "rSSR"])
def test_slow_and_short_reads_give_every_byte(rack: Rack, letters: str) -> None:
    rack.faults(letters)
    got, pieces = read_all(a(rack.dock()))
    assert got == DATA
    assert (min(pieces[:-1]) < BLOCK) == ("S" in letters)


def test_an_unreadable_block_is_unreadable_wherever_it_is_touched(rack: Rack) -> None:
    rack.faults("rErr")
    reader = a(rack.dock())
    buffer = memoryview(bytearray(BLOCK))
    for offset in (BLOCK, 2 * BLOCK - 1):
        with pytest.raises(SourceUnreadable) as caught:
            reader.read_at(buffer, offset)
        assert (caught.value.offset, caught.value.length) == (offset, BLOCK)
    for offset in (0, BLOCK - 1, 2 * BLOCK):
        got = reader.read_at(buffer, offset)
        assert got and bytes(buffer[:got]) == DATA[offset : offset + got]


def test_the_last_letter_repeats_and_other_files_are_whole(rack: Rack) -> None:
    rack.faults("rE")
    session = rack.dock()
    reader = a(session)
    for block in range(1, 9):
        with pytest.raises(SourceUnreadable):
            reader.read_at(memoryview(bytearray(8)), block * BLOCK)
    assert read_all(session.open(SourceClip("b.mp4", len(DATA), 0)))[0] == DATA


def test_one_bit_is_flipped_at_every_reading(rack: Rack) -> None:
    rack.faults("rXr")
    reader = a(rack.dock())
    wrong, _ = read_all(reader)
    assert read_all(reader)[0] == wrong
    differing = [at for at in range(len(DATA)) if wrong[at] != DATA[at]]
    assert differing == [BLOCK] and (wrong[BLOCK] ^ DATA[BLOCK]).bit_count() == 1


def test_a_growing_file_grows_on_disk_and_comes_to_an_end(rack: Rack) -> None:
    rack.faults("rW")
    reader = a(rack.dock())
    got, _ = read_all(reader)
    assert got.startswith(DATA) and len(got) > len(DATA)
    assert reader.stat()[0] == len(got) == (rack.slot / "a.mp4").stat().st_size


def test_a_pull_by_fault_lasts_until_the_next_docking(rack: Rack) -> None:
    rack.faults("rrG")
    session = rack.dock()
    other = session.open(SourceClip("b.mp4", len(DATA), 0))
    reader = a(session)
    buffer = memoryview(bytearray(BLOCK))
    assert reader.read_at(buffer, BLOCK) == BLOCK
    with pytest.raises(DeviceGone):
        reader.read_at(buffer, 2 * BLOCK)
    for gone in (
        lambda: reader.read_at(buffer, 0),
        lambda: other.read_at(buffer, 0),
        lambda: a(session),
        session.identity,
        lambda: list(session.clips()),
        reader.stat,
        rack.dock,
    ):
        with pytest.raises(DeviceGone):
            gone()
    rack.pull()
    rack.put_back()
    assert a(rack.dock()).read_at(buffer, 0) == BLOCK


def test_moving_the_folder_away_is_a_pull_for_every_open_file(rack: Rack) -> None:
    session = rack.dock()
    reader = a(session)
    listed = session.clips()
    next(listed)
    rack.pull()
    for gone in (lambda: reader.read_at(memoryview(bytearray(8)), 0), reader.stat, lambda: next(listed)):
        with pytest.raises(DeviceGone):
            gone()


def test_a_bad_block_of_a_pulled_recorder_is_a_pull(rack: Rack) -> None:
    rack.faults("E")
    reader = a(rack.dock())
    rack.pull()
    with pytest.raises(DeviceGone):
        reader.read_at(memoryview(bytearray(8)), 0)


@pytest.mark.parametrize("end", ["pull", "close"])
def test_a_hanging_read_ends_when_the_recorder_is_disconnected(rack: Rack, end: str) -> None:
    rack.faults("H")
    session = rack.dock()
    reader = a(session)
    ended: list[type[BaseException]] = []
    begun = threading.Event()

    def read() -> None:
        begun.set()
        try:
            reader.read_at(memoryview(bytearray(8)), 0)
        except DeviceGone as e:
            ended.append(type(e))

    thread = threading.Thread(target=read)
    thread.start()
    begun.wait()
    thread.join(0.2)
    assert thread.is_alive()
    rack.pull() if end == "pull" else session.close()
    thread.join(10)
    assert ended == [DeviceGone]


def test_its_description_makes_a_folder_a_certain_recorder(rack: Rack) -> None:
    (rack.slot / ".recorder.yaml").write_text("label: 0000012\nfs_uuid: 1234-ABCD\nfs_type: vfat\nmodel: X\n")
    (rack.slot / "a.mp4").chmod(0o444)
    session = rack.dock()
    identity = session.identity()
    assert (identity.recorder, identity.fs_id) == ("0000012", "1234-ABCD")
    assert {clip.path: clip.important for clip in session.clips()} == {"a.mp4": True, "b.mp4": False}


def test_the_stations_own_files_are_not_collected_and_the_recorders_are(rack: Rack) -> None:
    rack.faults("r")
    (rack.slot / ".recorder.yaml").write_text("label: CAM001\n")
    (rack.slot / "DCIM").mkdir()
    (rack.slot / "DCIM" / ".faults.yaml").write_text("a recorder's own")
    session = rack.dock()
    assert {clip.path for clip in session.clips()} == {"a.mp4", "b.mp4", "DCIM/.faults.yaml"}


def test_a_folder_without_description_is_the_same_recorder_in_any_slot(rack: Rack) -> None:
    first = rack.dock().identity()
    rack.slot.rename(rack.slot.with_name("slot-2"))
    rack.slot = rack.slot.with_name("slot-2")
    assert rack.dock().identity() == first and not first.assigned


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".recorder.yaml", "lable: CAM001"),
        (".recorder.yaml", "["),
        (".faults.yaml", "files: {a.mp4: rQ}"),
        (".faults.yaml", "files: {a.mp4: ''}"),
        (".faults.yaml", "block: 0"),
    ],
)
def test_a_mistake_in_a_simulation_is_told(rack: Rack, name: str, text: str) -> None:
    (rack.slot / name).write_text(text)
    before = len(list(Path("/proc/self/fd").iterdir()))
    with pytest.raises(ConfigError) as caught:
        rack.dock()
    assert name in str(caught.value)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
