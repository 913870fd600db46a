"""SQLite's errors by what is to be done about them: only one of them means that the file is broken."""

import errno
import os
import sqlite3
from pathlib import Path

from agent.errors import CatalogError

#: What SQLite says, here and there, of a disk that is full or read-only.
_BY_THE_DISK = (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
#: What SQLite and its module say of a row that the catalog cannot have; the transaction goes on.
REFUSED = (
    sqlite3.IntegrityError,
    sqlite3.DataError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
    OverflowError,
)
_ROOM = 1 << 20  # bytes; a disk with less counts as full


def told(error: sqlite3.Error | OSError, path: Path) -> CatalogError:
    """The catalog at `path` cannot be opened."""
    code = _code(error)
    where, reason = str(path), str(error)
    if code == sqlite3.SQLITE_FULL or (code in _BY_THE_DISK and _is_full(path.parent)):
        return CatalogError("catalog-disk-full", path=where)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return CatalogError("catalog-busy", path=where)
    if code == sqlite3.SQLITE_READONLY or (code in _BY_THE_DISK and _is_read_only(path.parent)):
        return CatalogError("catalog-read-only", path=where)
    if code in (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT):
        return CatalogError("catalog-damaged", path=where, reason=reason)
    return CatalogError("catalog-unreadable", path=where, reason=reason)


def of_the_machine(error: sqlite3.Error) -> bool:
    """Whether the disk or another program is to blame, rather than what was asked for."""
    return _code(error) not in (sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, 0)


def _code(error: sqlite3.Error | OSError) -> int:
    if isinstance(error, OSError):
        known = {errno.ENOSPC: sqlite3.SQLITE_FULL, errno.EDQUOT: sqlite3.SQLITE_FULL,
                 errno.EROFS: sqlite3.SQLITE_READONLY}  # fmt: skip
        return known.get(error.errno or 0, sqlite3.SQLITE_CANTOPEN)
    # The low byte is the kind, the rest its circumstances. Python's own errors have none.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_full(folder: Path) -> bool:
    figures = os.statvfs(folder)
    return figures.f_bavail * figures.f_frsize < _ROOM


def _is_read_only(folder: Path) -> bool:
    return bool(os.statvfs(folder).f_flag & os.ST_RDONLY)
