"""Where the catalog lies, and how a rebuilt one takes its place.

    catalog/             the catalog with its log: SQLite's three files are moved together or not at all
    catalog.rebuilding/  not finished: worth nothing
    catalog.rebuilt/     finished, about to be renamed `catalog`
    catalog.<time>/      one that was replaced

Every step is one rename, so that after a kill between any two the next start knows what to do.
"""

import os
import shutil
import time
from pathlib import Path

from agent import durable
from agent.errors import CatalogError

_FILE = "catalog.db"


def catalog_path(store: Path) -> Path:
    return store / "catalog" / _FILE


def settle(store: Path) -> Path:
    """The path of the catalog, for an agent that starts; finishes what a rebuild had all but done.

    Raises CatalogError `catalog-missing` when there are clips, or a log, and no catalog: an agent that began
    an empty one would never upload them, and would not know any more what was logged."""
    _finish(store)
    path = catalog_path(store)
    if not _begun(path) and (_holds_files(store / "clips") or _holds_logs(store / "custody")):
        raise CatalogError("catalog-missing", path=str(path))
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True)
        durable.sync_folder(store)
    return path


def begin(store: Path) -> Path:
    """The path for a catalog that is to be rebuilt; what an earlier rebuild left half done goes."""
    _finish(store)
    folder = store / "catalog.rebuilding"
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    return folder / _FILE


def replace(store: Path) -> Path | None:
    """The rebuilt catalog is whole and closed: let it take its place. Returns where the old one is
    kept; None when there was none."""
    folder = store / "catalog.rebuilding"
    durable.sync_folder(folder)
    folder.rename(store / "catalog.rebuilt")
    durable.sync_folder(store)
    return _finish(store)


def _finish(store: Path) -> Path | None:
    rebuilt, current = store / "catalog.rebuilt", store / "catalog"
    if not rebuilt.exists():
        return None
    kept = _set_aside(current) if current.exists() else None
    rebuilt.rename(current)
    durable.sync_folder(store)
    return kept


def _set_aside(current: Path) -> Path:
    moment = time.strftime("%Y%m%dT%H%M%S")
    tries = 0
    while True:
        kept = current.with_name(f"{current.name}.{moment}" + (f".{tries}" if tries else ""))
        try:
            durable.rename_noreplace(current, kept)
        except FileExistsError:
            tries += 1
            continue
        durable.sync_folder(current.parent)
        return kept


def _begun(path: Path) -> bool:
    """An empty file is none: SQLite would throw away the log that may lie beside it."""
    return path.exists() and path.stat().st_size > 0


def _holds_files(folder: Path) -> bool:
    return any(files for _, _, files in os.walk(folder))


def _holds_logs(folder: Path) -> bool:
    """A log without anything in it is what a crash left of a beginning."""
    return any(_holds_files(log / "tile") for log in folder.glob("[1-9]*"))
