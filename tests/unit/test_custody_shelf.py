"""What a head speaks of is there, whenever the power goes; what is not there is told, never made up."""

import functools
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.custody.log import heads, tiles
from agent.custody.log.shelf import BATCH, Damaged, Shelf, read_bundle, read_tile
from agent.custody.log.signer import Signer
from agent.custody.verifier import (
    EMPTY_ROOT,
    Head,
    Invalid,
    Note,
    check_consistency,
    check_inclusion,
    leaf_hash,
    node_hash,
)

ORIGIN = "station/a/1"
SIGNER = Signer(bytes(range(32)), "station/a")


def entry(index: int) -> bytes:
    return b"entry %d " % index + b"x" * (index * 7 % 50)


def opened(folder: Path) -> Shelf:
    return Shelf(folder, ORIGIN, SIGNER.key)


def grow(shelf: Shelf, size: int) -> Shelf:
    """To `size` entries, in batches with a head each."""
    while shelf.size < size:
        shelf.append([entry(at) for at in range(shelf.size, min(size, shelf.size + BATCH))])
        shelf.seal(SIGNER.sign)
    return shelf


@functools.cache
def root_of(size: int) -> bytes:
    """Without tiles: the whole row of leaves, folded level by level."""
    row = [leaf_hash(entry(at)) for at in range(size)]
    while len(row) > 1:
        pairs = [node_hash(row[at], row[at + 1]) for at in range(0, len(row) - 1, 2)]
        row = pairs + row[len(row) & ~1 :]
    return row[0] if row else EMPTY_ROOT


def holds(shelf: Shelf) -> None:
    assert shelf.head == Head(ORIGIN, shelf.size, root_of(shelf.size))
    found = [note for _, note in heads.walk(shelf.folder, ORIGIN)]
    known = [Head.checked(note, [SIGNER.key], ORIGIN) for note in found if isinstance(note, Note)]
    assert len(known) == len(found)
    assert [head.root for head in known] == [root_of(head.size) for head in known]
    entries = [each for n in range(-(-shelf.size // 256)) for each in read_bundle(shelf.folder, n)]
    assert entries == [entry(at) for at in range(shelf.size)]


@pytest.mark.parametrize("size", [1, 255, 256, 257, 511, 512, 1500])
def test_a_log_is_there_after_it_is_opened_again(tmp_path: Path, size: int) -> None:
    grow(opened(tmp_path), size)
    shelf = opened(tmp_path)
    assert shelf.repaired == 0
    assert shelf.size == size
    holds(shelf)
    holds(grow(shelf, size + 3))
    holds(opened(tmp_path))


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 66,001 entries, with tiles on three levels."""
    folder = tmp_path_factory.mktemp("grown")
    grow(opened(folder), 66_001)
    return folder


@pytest.fixture
def long(grown: Path, tmp_path: Path) -> Path:
    return shutil.copytree(grown, tmp_path / "long")


def test_the_files_are_the_tiles_of_the_standard(long: Path) -> None:
    holds(opened(long))
    assert len(read_tile(long, 0, 257)) == 209
    assert len(read_tile(long, 1, 1)) == 1
    assert len(read_tile(long, 2, 0)) == 1
    assert [path.name for path in sorted((long / "tile").iterdir())] == ["0", "1", "2", "entries"]
    assert read_tile(long, 1, 0)[5] == tiles.tile_root(read_tile(long, 0, 5))
    assert read_tile(long, 2, 0)[0] == tiles.tile_root(read_tile(long, 1, 0))


def test_proofs_are_read_from_the_tiles(long: Path) -> None:
    shelf = opened(long)
    for index in (0, 1, 255, 256, 65_535, 65_536, 66_000):
        proof = tiles.inclusion(index, shelf.size, shelf.read)
        check_inclusion(leaf_hash(entry(index)), index, shelf.size, proof, shelf.head.root)
    for old in (1, 300, 65_536, 66_000):
        proof = tiles.consistency(old, shelf.size, shelf.read)
        check_consistency(old, root_of(old), shelf.size, shelf.head.root, proof)


def test_a_size_is_signed_once(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    assert not shelf.seal(SIGNER.sign)
    grow(shelf, 3)
    assert not shelf.seal(SIGNER.sign)
    assert len(list(heads.walk(tmp_path, ORIGIN))) == 1


def test_a_false_signature_never_comes_into_the_log(tmp_path: Path) -> None:
    shelf = opened(tmp_path)
    shelf.append([entry(0)])
    with pytest.raises(Invalid):
        shelf.seal(Signer(bytes(32), "station/a").sign)
    assert not (tmp_path / "heads").exists()


def test_no_more_waits_for_a_head_than_is_looked_for_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="wait"):
        opened(tmp_path).append([entry(0)] * (BATCH + 1))


class Watched(Shelf):
    """Tells in which order it writes what."""

    def __init__(self, *given: Any) -> None:
        self.writes: list[tuple[str, int, bytes]] = []
        super().__init__(*given)

    def _put(self, level: int | str, n: int, offset: int, data: bytes, sync: bool) -> None:
        super()._put(level, n, offset, data, sync)
        self.writes.append((tiles.path(level, n), offset, data))


def test_an_entry_costs_its_length_and_its_hash_however_long_the_log_is(long: Path) -> None:
    shelf = Watched(long, ORIGIN, SIGNER.key)
    shelf.writes.clear()
    shelf.append([entry(66_001)])
    assert [len(data) for _, _, data in shelf.writes] == [2 + len(entry(66_001)), 32]


def moments(writes: list[tuple[str, int, bytes]]) -> Iterator[list[tuple[str, int, bytes]]]:
    """The writes that had come through when the power went: at every byte, zeros in place of a tail, and
    every tile that grows lost."""
    for done in range(len(writes)):
        path, offset, data = writes[done]
        for cut in range(len(data)):
            yield [*writes[:done], (path, offset, data[:cut])]
        yield [*writes[:done], (path, offset, data[:2] + bytes(len(data) - 2))]
        yield [each for each in writes[: done + 1] if waited_for(*each)]
    yield writes


def waited_for(path: str, offset: int, data: bytes) -> bool:
    return not re.match(r"tile/\d", path) or offset + len(data) == 256 * 32


@pytest.mark.parametrize(("before", "after"), [(0, 2), (3, 5), (254, 258), (511, 513)])
def test_the_power_may_go_at_every_byte(tmp_path: Path, before: int, after: int) -> None:
    base, last = tmp_path / "base", tmp_path / "last"
    base.mkdir()
    grow(opened(base), before)
    shutil.copytree(base, last)
    shelf = Watched(last, ORIGIN, SIGNER.key)
    shelf.writes.clear()
    already = (last / "heads").stat().st_size if before else 0
    grow(shelf, after)
    writes = [*shelf.writes, ("heads", already, (last / "heads").read_bytes()[already:])]
    for number, moment in enumerate(moments(writes)):
        wreck = tmp_path / str(number)
        shutil.copytree(base, wreck)
        for path, offset, data in moment:
            (wreck / path).parent.mkdir(parents=True, exist_ok=True)
            with (wreck / path).open("r+b" if (wreck / path).exists() else "wb") as file:
                file.seek(offset)
                file.write(data)
        repaired = opened(wreck)
        whole = bool(moment) and moment[-1] == writes[-1]
        assert repaired.size == (after if whole else before)
        holds(repaired)
        holds(grow(repaired, after + 1))
        assert opened(wreck).repaired == 0
        shutil.rmtree(wreck)


def test_tiles_that_grow_are_made_anew_from_those_below(long: Path) -> None:
    for path in ("tile/0/257", "tile/1/001", "tile/2/000"):
        (long / path).unlink()
    assert opened(long).head.root == root_of(66_001)
    (long / "tile/1/001").write_bytes(bytes(32))
    assert opened(long).read(8, 256) == tiles.tile_root(read_tile(long, 0, 256))
    assert len(read_tile(long, 2, 0)) == 1


def flip(path: Path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


DAMAGE: dict[str, Callable[[Path], object]] = {
    "an entry altered": lambda log: flip(log / "tile/entries/002", 30),
    "entries cut off": lambda log: (log / "tile/entries/002").write_bytes(b""),
    "the bundle gone": lambda log: (log / "tile/entries/002").unlink(),
    "a head's root": lambda log: flip(log / "heads", -120),
    "a head's signature": lambda log: flip(log / "heads", -10),
    "a head's origin": lambda log: flip(log / "heads", 2),
    "no line of the last head whole": lambda log: (log / "heads").write_bytes(b"x" * 3000),
    "another file's end": lambda log: (log / "heads").open("ab").write(b"station/b/1\n"),
    "a line more": lambda log: (log / "heads").open("ab").write(b"\n"),
    "heads gone": lambda log: (log / "heads").unlink(),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_a_head_speaks_of_and_is_not_there_is_told(tmp_path: Path, what: str) -> None:
    grow(opened(tmp_path), 600 if what != "heads gone" else 1600)
    DAMAGE[what](tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    with pytest.raises(Damaged):
        opened(tmp_path)
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before == after


def test_a_tile_below_that_is_gone_is_told_when_it_is_needed(tmp_path: Path) -> None:
    grow(opened(tmp_path), 600)
    (tmp_path / "tile/1/000").unlink()
    (tmp_path / "tile/0/001").write_bytes(b"short")
    with pytest.raises(Damaged) as told:
        opened(tmp_path)
    assert told.value.params["place"] == "tile/0/001"


def test_another_key_is_not_taken_for_the_logs_own(tmp_path: Path) -> None:
    grow(opened(tmp_path), 3)
    with pytest.raises(Damaged):
        Shelf(tmp_path, ORIGIN, Signer(bytes(32), "station/a").key)
    with pytest.raises(Damaged):
        Shelf(tmp_path, "station/a/2", SIGNER.key)


def test_heads_are_walked_past_what_is_none(tmp_path: Path) -> None:
    grow(opened(tmp_path), 1)
    good = (tmp_path / "heads").read_bytes()
    (tmp_path / "heads").write_bytes(good + b"a line\n" + good + b"y" * 5000 + b"\n" + good + good[:-1])
    kinds = [(line, isinstance(note, Note)) for line, note in heads.walk(tmp_path, ORIGIN)]
    assert kinds[0] == (1, True)
    assert [ok for _, ok in kinds].count(False) >= 2
    assert list(heads.walk(tmp_path / "none", ORIGIN)) == []
