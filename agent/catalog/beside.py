"""Reading a catalog beside the agent whose it is, or a copy of one."""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from agent.catalog.home import catalog_path
from agent.errors import CatalogError


@contextlib.contextmanager
def reading(store: Path) -> Iterator[sqlite3.Connection]:
    """A read-only connection to the catalog of `store`; a copy on a medium that cannot be written is read as
    it lies there. Raises CatalogError `catalog-unreadable`, also for what goes wrong later."""
    path = catalog_path(store)
    try:
        with contextlib.closing(_open(path)) as db:
            yield db
    except sqlite3.Error as error:
        raise CatalogError("catalog-unreadable", path=str(path), reason=str(error)) from error


def _open(path: Path) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    try:
        return _tried(f"{address}?mode=ro")
    except sqlite3.Error:
        if path.with_name(path.name + "-wal").exists():
            raise  # what lies there without it would be an older catalog
        return _tried(f"{address}?mode=ro&immutable=1")


def _tried(address: str) -> sqlite3.Connection:
    db = sqlite3.connect(address, uri=True, isolation_level=None, timeout=30)
    try:
        db.execute("SELECT 1 FROM events LIMIT 1").fetchone()
    except sqlite3.Error:
        db.close()
        raise
    return db
