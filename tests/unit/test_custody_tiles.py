"""The tree is RFC 6962's, to the hash; a naive one, made as the RFC defines it, is the judge."""

import functools
import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.custody.log import tiles
from agent.custody.verifier import EMPTY_ROOT, Invalid, check_consistency, check_inclusion, leaf_hash

LEAVES = [b"entry %d" % number for number in range(300)]
sizes = st.integers(0, len(LEAVES))


@functools.cache
def naive(low: int, high: int) -> bytes:
    """MTH(D[low:high]) word for word."""
    if high - low == 0:
        return hashlib.sha256().digest()
    if high - low == 1:
        return hashlib.sha256(b"\0" + LEAVES[low]).digest()
    split = 1
    while split * 2 < high - low:
        split *= 2
    return hashlib.sha256(b"\1" + naive(low, low + split) + naive(low + split, high)).digest()


def read(level: int, n: int) -> bytes:
    assert (n + 1) << level <= len(LEAVES), "asked for a hash that is not whole"
    return naive(n << level, (n + 1) << level)


@given(sizes)
def test_the_root_is_the_rfcs(size: int) -> None:
    assert tiles.root(size, read) == naive(0, size)


@settings(deadline=None)
@given(st.data())
def test_every_entry_is_proven_and_no_other_in_its_place(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, len(LEAVES)))
    index = data.draw(st.integers(0, size - 1))
    proof = tiles.inclusion(index, size, read)
    leaf, root = leaf_hash(LEAVES[index]), naive(0, size)
    check_inclusion(leaf, index, size, proof, root)
    for wrong in spoiled(proof, data):
        with pytest.raises(Invalid):
            check_inclusion(leaf, index, size, wrong, root)
    other = data.draw(st.integers(0, size - 1).filter(lambda at: at != index)) if size > 1 else size
    with pytest.raises(Invalid):
        check_inclusion(leaf, other, size, proof, root)
    with pytest.raises(Invalid):
        check_inclusion(leaf_hash(b"other"), index, size, proof, root)
    with pytest.raises(Invalid):
        check_inclusion(leaf, index, size, proof, naive(0, size - 1))


@settings(deadline=None)
@given(st.data())
def test_every_longer_log_proves_that_it_goes_on_from_each_before(data: st.DataObject) -> None:
    new = data.draw(sizes)
    old = data.draw(st.integers(0, new))
    proof = tiles.consistency(old, new, read)
    before, after = naive(0, old), naive(0, new)
    check_consistency(old, before, new, after, proof)
    for wrong in spoiled(proof, data):
        with pytest.raises(Invalid):
            check_consistency(old, before, new, after, wrong)
    with pytest.raises(Invalid):
        check_consistency(old, leaf_hash(b"x"), new, after, proof)
    if old:
        with pytest.raises(Invalid):
            check_consistency(old, before, new, leaf_hash(b"x"), proof)
    with pytest.raises(Invalid):
        check_consistency(new + 1, before, new, after, proof)


def spoiled(proof: Sequence[bytes], data: st.DataObject) -> list[list[bytes]]:
    found = [[*proof, leaf_hash(b"more")]]
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bit = data.draw(st.integers(0, 255))
        flipped = (int.from_bytes(proof[at], "big") ^ 1 << bit).to_bytes(32, "big")
        found += [list(proof[:-1]), [*proof[:at], flipped, *proof[at + 1 :]]]
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 31, 33])
def test_all_proofs_of_small_logs_hold(size: int) -> None:
    for index in range(size):
        proof = tiles.inclusion(index, size, read)
        check_inclusion(leaf_hash(LEAVES[index]), index, size, proof, naive(0, size))
    for old in range(size + 1):
        check_consistency(old, naive(0, old), size, naive(0, size), tiles.consistency(old, size, read))


def test_an_empty_log_has_the_root_of_nothing() -> None:
    assert tiles.root(0, read) == EMPTY_ROOT == hashlib.sha256(b"").digest()


@pytest.mark.parametrize(("index", "size"), [(0, 0), (-1, 3), (3, 3)])
def test_there_is_no_proof_of_what_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError):
        tiles.inclusion(index, size, read)
    with pytest.raises(Invalid):
        check_inclusion(leaf_hash(b""), index, size, [], EMPTY_ROOT)


@pytest.mark.parametrize(("old", "new"), [(-1, 2), (3, 2)])
def test_a_log_never_goes_back(old: int, new: int) -> None:
    with pytest.raises(ValueError):
        tiles.consistency(old, new, read)


@pytest.mark.parametrize(
    ("level", "n", "width", "shown"),
    [
        (0, 0, 256, "tile/0/000"),
        (1, 273, 17, "tile/1/273.p/17"),
        ("entries", 1234067, 256, "tile/entries/x001/x234/067"),
        (2, 1000, 1, "tile/2/x001/000.p/1"),
    ],
)
def test_tiles_lie_where_c2sp_says(level: int | str, n: int, width: int, shown: str) -> None:
    assert tiles.path(level, n, width) == shown


@given(st.integers(0, 40), st.integers(0, 10**9))
def test_a_hash_of_the_tree_is_made_of_one_tile(level: int, n: int) -> None:
    height, number, first, last = tiles.in_tile(level, n)
    assert 0 <= first < last <= tiles.WIDTH
    unit = 1 << height * tiles.HEIGHT
    assert (number * tiles.WIDTH + first) * unit == n << level
    assert (number * tiles.WIDTH + last) * unit == (n + 1) << level


def test_a_full_tile_is_a_part_of_the_tree() -> None:
    assert tiles.tile_root([leaf_hash(leaf) for leaf in LEAVES[:256]]) == naive(0, 256)
    assert tiles.tile_root([b"only"]) == b"only"


@given(st.lists(st.binary(max_size=300)), st.integers(0, 400))
def test_a_torn_bundle_gives_its_whole_entries(entries: list[bytes], cut: int) -> None:
    whole = tiles.bundle(entries)
    assert list(tiles.unbundle(whole)) == entries
    torn = list(tiles.unbundle(whole[: max(0, len(whole) - cut)]))
    assert torn == entries[: len(torn)]
    assert len(tiles.bundle(torn)) <= max(0, len(whole) - cut)
