"""What ingest promises for a recorder that behaves."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import queries
from agent.errors import DeviceGone
from agent.model import ClipState, part_size_for
from tests.dockside import Dockside, Heard, digest, media, recorder

NAME = "DCIM/8888888_000001_202601011200{:02}_{:04}{}.mp4"


@pytest.fixture
def side(tmp_path: Path) -> Iterator[Dockside]:
    made = Dockside(tmp_path / "station")
    yield made
    made.close()


def name(number: int, mark: str = "") -> str:
    return NAME.format(number % 60, number, mark)


def test_every_clip_is_stored_byte_for_byte_with_its_sidecar(side: Dockside, tmp_path: Path) -> None:
    sizes = [0, 1, 4096, 1 << 20, (1 << 20) + 1, 8 << 20, (8 << 20) + 7, 20 << 20]
    folder = recorder(tmp_path / "rec", {name(n): size for n, size in enumerate(sizes)})
    complete, heard = side.dock(folder)
    assert complete
    assert heard.total == (8, sum(sizes))
    assert (heard.files, heard.bytes) == heard.total
    assert side.states() == {"stored": 8}
    assert side.stored_digests() == media(folder)
    assert side.leftovers() == []
    for row in side.rows():
        document = json.loads(side.store.sidecar(row["key"]).read_bytes())
        assert document["sha256"] == row["sha256"] == digest(side.store.path(row["key"]))
        assert document["path"] == row["path"]
        assert document["recorder"] == "8888888"


def test_docking_again_unchanged_copies_nothing(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(n): 5000 * n for n in range(6)})
    side.dock(folder)
    complete, heard = side.dock(folder)
    assert complete
    assert heard.total == (0, 0)
    assert side.states() == {"stored": 6}


def test_same_name_size_and_time_with_other_content_is_another_clip(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(1): 50_000})
    os.utime(folder / name(1), ns=(0, 0))
    side.dock(folder)
    recorder(folder, {name(1): 50_000})
    os.utime(folder / name(1), ns=(0, 0))
    complete, _ = side.dock(folder)
    assert complete
    assert side.states() == {"stored": 2}
    assert len(side.stored_digests()) == 2


def test_the_same_content_under_another_name_is_one_clip_with_two_names(
    side: Dockside, tmp_path: Path
) -> None:
    content = os.urandom(3 << 20)
    folder = recorder(tmp_path / "rec", {name(1): content, name(2): 100})
    side.dock(folder)
    (folder / name(1)).rename(folder / name(1, "IMP"))
    complete, _ = side.dock(folder)
    assert complete
    assert side.states() == {"stored": 2, "merged": 1}
    (row,) = [row for row in side.rows() if row["size"] == 3 << 20 and row["state"] == "stored"]
    assert row["important"]
    document = json.loads(side.store.sidecar(row["key"]).read_bytes())
    assert [entry["path"] for entry in document["names"]] == [name(1), name(1, "IMP")]
    assert side.leftovers() == []
    _, heard = side.dock(folder)
    assert heard.total == (0, 0)


def test_empty_files_never_stand_for_one_another(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(1): b"", name(2): b"", "DCIM/other/x.txt": b""})
    complete, _ = side.dock(folder)
    assert complete
    assert side.states() == {"stored": 3}
    assert len({row["key"] for row in side.rows()}) == 3


def test_twins_in_one_batch_become_one_clip(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {name(n): b"same" * 100 for n in range(5)})
    complete, _ = side.dock(folder)
    assert complete
    assert side.states() == {"stored": 1, "merged": 4}


def test_the_same_content_of_two_recorders_stays_two_clips(side: Dockside, tmp_path: Path) -> None:
    content = os.urandom(1000)
    one = recorder(tmp_path / "one", {"8888888_000001_20260101120000_0001.mp4": content})
    two = recorder(tmp_path / "two", {"9999999_000001_20260101120000_0001.mp4": content})
    side.dock(one)
    side.dock(two)
    assert side.states() == {"stored": 2}


def test_important_clips_are_copied_first_then_the_oldest(side: Dockside, tmp_path: Path) -> None:
    names = [name(3), name(1), name(4, "IMP"), name(2)]
    folder = recorder(tmp_path / "rec", dict.fromkeys(names, 2 << 20))
    side.dock(folder)
    db = side.catalog.read()
    order = db.execute("SELECT clip FROM events WHERE kind = 'stored' ORDER BY seq").fetchall()
    paths = {row["id"]: row["path"] for row in side.rows()}
    assert [paths[clip] for (clip,) in order] == [name(4, "IMP"), name(1), name(2), name(3)]


def test_sm3_is_taken_when_asked_for(tmp_path: Path) -> None:
    side = Dockside(tmp_path / "station", sm3=True)
    folder = recorder(tmp_path / "rec", {name(1): b"abc", name(2): 9 << 20})
    assert side.dock(folder)[0]
    document = json.loads(
        side.store.sidecar(next(row["key"] for row in side.rows() if row["size"] == 3)).read_bytes()
    )
    # the example of the standard GB/T 32905
    assert document["sm3"] == "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"
    side.close()


def test_a_clip_seen_and_gone_before_it_was_collected_is_missing(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(
        tmp_path / "rec", {name(1): 2 << 20, name(2): 70_000}, f"block: 65536\nfiles: {{{name(1)!r}: E}}\n"
    )
    complete, heard = side.dock(folder)
    assert not complete
    assert "unreadable" in heard.told()
    assert side.states() == {"seen": 1, "stored": 1}
    (folder / name(1)).unlink()
    side.dock(folder)
    assert side.states() == {"missing": 1, "stored": 1}


def test_an_empty_card_is_said_to_be_empty(side: Dockside, tmp_path: Path) -> None:
    complete, heard = side.dock(recorder(tmp_path / "rec", {}))
    assert complete
    assert "empty-card" in heard.told()


def test_a_clock_at_1980_is_said_and_its_clips_are_collected(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {"8888888_000001_19800101000000_0001.mp4": 10})
    complete, heard = side.dock(folder)
    assert complete
    assert "clock-wrong" in heard.told()


def test_ten_thousand_files_in_one_folder_are_collected(side: Dockside, tmp_path: Path) -> None:
    folder = recorder(tmp_path / "rec", {f"DCIM/{n:05}.jpg": str(n).encode() for n in range(10_000)})
    complete, _ = side.dock(folder)
    assert complete
    assert queries.counts(side.catalog.read())[ClipState.STORED] == 10_000


def test_a_file_over_four_gibibytes_is_collected(side: Dockside, tmp_path: Path) -> None:
    """Its first 4 GiB are holes, and were copied by an earlier docking: what is written fits any disk."""
    size = (4 << 30) + 5
    folder = recorder(tmp_path / "rec", {name(1): b""})
    os.truncate(folder / name(1), size)
    with pytest.raises(DeviceGone):
        side.dock(folder, Heard(pull_after=1))
    (clip,) = [row["id"] for row in side.rows()]
    os.truncate(side.store.partial(clip), 4 << 30)
    part = part_size_for(size)
    side.store.journal(clip).write_bytes(hashlib.sha256(bytes(part)).digest() * ((4 << 30) // part))
    complete, _ = side.dock(folder)
    assert complete
    (row,) = side.rows()
    assert row["size"] == side.store.path(row["key"]).stat().st_size == size
    assert row["sha256"] == digest(folder / name(1))
