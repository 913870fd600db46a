"""A rebuilt catalog takes the old one's place: whatever line is the last, one of them is there, whole."""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.catalog import Catalog, home, queries
from agent.catalog.home import catalog_path, settle
from agent.catalog.progress import Progress
from agent.custody.rebuild import rebuild_store
from agent.errors import CatalogError
from tests.custody_house import STATION
from tests.dockside import Dockside, recorder
from tests.dying import KILLED, dying_at, in_a_child

CLIPS = 6


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Path]:
    """As a kill leaves it: what was committed last is in the log only."""
    side = Dockside(tmp_path / "station")
    side.dock(recorder(tmp_path / "rec", {f"DCIM/{n}.mp4": 500 + n for n in range(CLIPS)}))
    shutil.copytree(side.store.root, tmp_path / "store")
    side.close()
    assert (tmp_path / "store/catalog/catalog.db-wal").stat().st_size > 0
    yield tmp_path / "store"


def stored(catalog: Path) -> int:
    with contextlib.closing(Catalog.open(catalog)) as opened:
        assert opened.quick_check() == []
        return queries.counts(opened.read())["stored"]


def test_a_rebuild_killed_at_any_line_leaves_a_whole_catalog(store: Path, tmp_path: Path) -> None:
    line, replaced = 0, set()
    while True:
        line += 1
        killed = tmp_path / f"killed-{line}"
        shutil.copytree(store, killed)
        (killed / "catalog.rebuilding").mkdir()
        (killed / "catalog.rebuilding/catalog.db").write_bytes(b"of a rebuild before")
        code = in_a_child(dying_at(line, [home.__file__], lambda: rebuild_store(killed, STATION)))  # noqa: B023
        assert stored(settle(killed)) == CLIPS, f"killed at line {line}"
        kept = [path for path in killed.glob("catalog.*T*") if path.is_dir()]
        replaced.add(len(kept))
        for path in kept:
            assert stored(path / "catalog.db") == CLIPS
        assert not (killed / "catalog.rebuilt").exists()
        shutil.rmtree(killed)
        if code == 0:
            break
        assert code == KILLED
    assert line > 15
    assert replaced == {0, 1}  # the kills came before and behind


def test_a_rebuild_cut_short_is_not_taken_for_a_catalog(store: Path) -> None:
    shutil.rmtree(store / "catalog")

    class Dying(Progress):
        def clips(self, done: int, read: int) -> None:
            if done == CLIPS - 1:
                os._exit(KILLED)

    assert in_a_child(lambda: rebuild_store(store, STATION, Dying())) == KILLED
    assert (store / "catalog.rebuilding").is_dir()
    with pytest.raises(CatalogError) as caught:
        settle(store)
    assert caught.value.key == "catalog-missing"
    assert rebuild_store(store, STATION).clips.clips == CLIPS
    assert not (store / "catalog.rebuilding").exists()
    assert stored(settle(store)) == CLIPS


@pytest.mark.parametrize("left", ["nothing", "an empty file", "an empty file and a log"])
def test_an_agent_does_not_begin_an_empty_catalog_beside_clips(store: Path, left: str) -> None:
    """It would not upload what is there, and would not know whom it came from."""
    if left == "nothing":
        shutil.rmtree(store / "catalog")
    else:
        os.truncate(catalog_path(store), 0)
    if left == "an empty file":
        catalog_path(store).with_name("catalog.db-wal").unlink()
    before = sorted(store.rglob("*"))
    with pytest.raises(CatalogError) as caught:
        settle(store)
    assert caught.value.key == "catalog-missing"
    assert sorted(store.rglob("*")) == before


def test_a_station_without_clips_begins_with_an_empty_catalog(tmp_path: Path) -> None:
    assert stored(settle(tmp_path / "store")) == 0
    (tmp_path / "store/clips/8888888/2026-01-01").mkdir(parents=True)
    assert stored(settle(tmp_path / "store")) == 0


def test_the_old_catalog_is_kept_with_its_log_and_none_replaces_another(store: Path) -> None:
    first, second = rebuild_store(store, STATION).old, rebuild_store(store, STATION).old
    assert first is not None
    assert second is not None
    assert first != second
    assert stored(first / "catalog.db") == stored(second / "catalog.db") == CLIPS


def test_a_rebuilt_catalog_is_closed_cleanly(store: Path) -> None:
    rebuild_store(store, STATION)
    assert [path.name for path in (store / "catalog").iterdir()] == ["catalog.db"]
    with contextlib.closing(sqlite3.connect(catalog_path(store))) as db:
        assert db.execute("SELECT count(*) FROM meta WHERE key = 'running'").fetchone() == (0,)


def test_a_damaged_catalog_is_replaced(store: Path) -> None:
    catalog_path(store).write_bytes(b"no database" * 999)
    catalog_path(store).with_name("catalog.db-wal").unlink()
    with pytest.raises(CatalogError) as caught:
        Catalog.open(settle(store))
    assert caught.value.key == "catalog-damaged"
    assert rebuild_store(store, STATION).clips.clips == CLIPS
    assert stored(settle(store)) == CLIPS
