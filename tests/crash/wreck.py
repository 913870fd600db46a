"""What a kill leaves: in which states clips were caught, and what a power cut would have spoilt besides."""

import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

from agent.catalog.home import catalog_path


@contextlib.contextmanager
def catalog_as_left(store: Path) -> Iterator[sqlite3.Connection]:
    """A copy, so that the next start finds what the kill left and not what a reader made of it."""
    with tempfile.TemporaryDirectory() as folder:
        for name in ("catalog.db", "catalog.db-wal"):
            if (part := catalog_path(store).with_name(name)).exists():
                shutil.copy(part, folder)
        with contextlib.closing(sqlite3.connect(Path(folder) / "catalog.db")) as db:
            yield db


def caught(store: Path) -> set[str]:
    """The states that clips and deliveries are in; a copy that has its digest already is `described`."""
    if not catalog_path(store).exists():
        return set()
    with catalog_as_left(store) as db:
        clips = db.execute("SELECT iif(state = 'copying' AND key IS NOT NULL, 'described', state) FROM clips")
        deliveries = db.execute("SELECT 'delivery ' || state FROM deliveries")
        return {str(row[0]) for found in (clips, deliveries) for row in found}


def spoil(store: Path, rng: Random) -> str:
    """What was never synced may be anything after a power cut: spoil one such file. Returns its name."""
    with catalog_as_left(store) as db:
        synced = {str(row[0]) for row in db.execute("SELECT id FROM clips WHERE key IS NOT NULL")}
    files = [path for path in sorted((store / "incoming").iterdir()) if path.stem not in synced]
    files = [path for path in files if path.stat().st_size]
    if not files:
        return ""
    path = rng.choice(files)
    with path.open("r+b") as file:
        size = os.fstat(file.fileno()).st_size
        at = rng.randrange(size)
        if rng.random() < 0.5:
            file.truncate(at)
        else:
            file.seek(at)
            file.write(bytes(min(4096, size - at)))
    return path.name


def tally(kills: list[set[str]]) -> Counter[str]:
    return Counter(state for states in kills for state in states)
