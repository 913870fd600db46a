"""A disk as a power cut left it, judged twice: is everything there that was said before, and does a station
that starts on it bring all of it to its end?

The first is read from the disk alone. For the second the agent's own rooms go on: recovery, the docking again
unless the recorder was shown as collected and is gone for good, the uploads. Then comes the last judgement
of `tests.crash`.
"""

import contextlib
import copy
import os
import shutil
import sqlite3
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from agent.catalog import home, queries
from agent.catalog.home import catalog_path
from agent.errors import StationError
from agent.model import COLLECTED, Device, DeviceKind
from agent.upload.scheduler import Uploads
from agent.upload.targets.folder import FolderTarget
from drivers.mass_storage import MassStorage
from tests.crash import verdict
from tests.crash.promises import Broken
from tests.crash.rack import digest
from tests.crash.wreck import catalog_as_left
from tests.dockside import Dockside, FolderPort, Heard
from tests.uploading import locked
from tests.vm.disk import take_out
from tests.vm.logged import FOLDER_ON_DISK, SLOT, Recording, Said
from tests.vm.machine import SLOTS
from tests.vm.recorders import held

_STEPS = 1000


def faults(image: Path, recording: Recording, said: Said, folder: Path, *, ahead: bool) -> list[str]:
    """`image` is mended in place. `ahead`: central storage has all that it ever got, as if the cut's last
    seconds had only been lost here; else it has what the station is sure of and no more."""
    shutil.rmtree(folder, ignore_errors=True)
    found = list[str]()
    try:
        take_out(image, folder)
        store = folder / "store"
        if (left := folder / FOLDER_ON_DISK).exists():
            left.rename(store)
        store.mkdir(exist_ok=True)  # systemd makes it, should the cut have come before
        rows = _rows(store)
        found += _as_left(store, rows, recording, said)
        _centre(folder / "centre", store, recording, ahead)
        found += _goes_on(folder, recording, said)
    except (AssertionError, StationError, OSError, sqlite3.Error):
        found.append(traceback.format_exc())
    return found


def _rows(store: Path) -> list[dict[str, Any]]:
    if not catalog_path(store).exists():
        return []
    with catalog_as_left(store) as db:
        db.row_factory = sqlite3.Row
        (said,) = db.execute("PRAGMA integrity_check(1)").fetchone()
        if said != "ok":
            raise Broken(f"the catalog is damaged: {said}")
        begun = db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'clips'").fetchone()[0]
        return queries.clips(db, limit=100_000) if begun else []


def _as_left(store: Path, rows: list[dict[str, Any]], recording: Recording, said: Said) -> Iterator[str]:
    try:
        copy.deepcopy(said.clips).hear_clips(rows, 0)
    except Broken as broken:
        yield f"taken back: {broken}"
    stored = [row for row in rows if row["state"] in COLLECTED]
    for row in stored:
        path = store / "clips" / row["key"]
        if not path.is_file() or digest(path) != row["sha256"]:
            size = path.stat().st_size if path.is_file() else None
            yield f"{row['state']} clip {row['id']} is not whole: {size} of {row['size']} bytes, {row['key']}"
    if said.collected and (lost := recording.contents.clips().keys() - {row["sha256"] for row in stored}):
        yield f"shown as collected, and these are not: {lost}"


def _centre(centre: Path, store: Path, recording: Recording, ahead: bool) -> None:
    if ahead:
        shutil.copytree(recording.centre, centre)
        return
    for name in ("clips", "incoming"):
        (centre / name).mkdir(parents=True)
    for mark in recording.centre.glob(".*"):
        shutil.copy(mark, centre)
    for key in _published(store):
        for name in (key, f"{key}.json"):
            (centre / "clips" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(recording.centre / "clips" / name, centre / "clips" / name)


def _published(store: Path) -> list[str]:
    """Keys of clips that the target itself has published, as far as the catalog is sure of it."""
    with contextlib.suppress(sqlite3.OperationalError), catalog_as_left(store) as db:
        wanted = "SELECT key FROM clips WHERE id IN (SELECT clip FROM deliveries WHERE state IN ('sent', ?))"
        return [str(row[0]) for row in db.execute(wanted, ("confirmed",))]
    return []


def _goes_on(root: Path, recording: Recording, said: Said) -> Iterator[str]:
    home.settle(root / "store")
    dockside = Dockside(root)
    try:
        if not said.collected:
            yield from _docked_again(dockside, recording)
        target = FolderTarget("centre", root / "centre", first_contact=True)
        uploads = Uploads(dockside.catalog, {"centre": target}, dockside.store.path, lock=locked())
        if all(uploads.step() for _ in range(_STEPS)):
            yield "there is always something to upload"
    finally:
        dockside.close()
    (root / "store" / "agent.lock").unlink(missing_ok=True)
    number = recording.card.number
    yield from verdict.faults(root / "store", root / "centre", {number: recording.contents})


def _docked_again(dockside: Dockside, recording: Recording) -> Iterator[str]:
    """In the same socket, with the file system's id that the station knows the card by."""
    port = SLOTS[SLOT].id_path
    device = Device("/dev/sda1", DeviceKind.VOLUME, port, fs_type="exfat", fs_uuid=recording.fs_uuid)
    session = MassStorage().open(device, FolderPort(held(recording.recorder)))
    heard = Heard()
    try:
        complete = dockside.ingest.collect(session, SLOT, port, heard)
    finally:
        session.close()
    if not complete or heard.problems:
        yield f"docked again, it does not end well: {heard.problems}"


def tidy(folder: Path) -> None:
    """What a judgement left, once nobody asks for it."""
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(os.fspath(folder))
